//! Workflows as data: what a program can say of one to those who do not have its code.

use std::ops::RangeInclusive;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::payload::Payload;
use crate::workflow::{OnConflict, WorkflowDef};

/// What is known of a workflow without its code: what its attribute says.
///
/// Programs with a [worker](crate::Engine::worker) keep one for each of their workflows in the store, where
/// [`Engine::catalog`](crate::Engine::catalog) finds them. As JSON it leaves out what the attribute does not say.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct WorkflowInfo {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: u32,
    /// The recorded versions that the code continues, its own among them.
    pub accepts: RangeInclusive<u32>,
    /// The module it is defined in.
    pub module: String,
    /// The limit of active time.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "as_duration")]
    pub timeout: Option<Duration>,
    /// The limit of wall-clock time since the start.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "as_duration")]
    pub deadline: Option<Duration>,
    /// Total tries of the whole workflow; `None`: what the engine that runs it thinks right.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_attempts: Option<u32>,
    /// Whether a further attempt starts from nothing.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub restart: bool,
    /// The queue it is put into unless its start says otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub queue: Option<String>,
    /// How many executions run at once; `None`: any number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub concurrency: Option<u32>,
    /// What becomes of an execution beyond `concurrency`.
    #[serde(default)]
    pub on_conflict: OnConflict,
    /// The template of a key, of which one execution runs at a time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lock: Option<String>,
    /// What executions can be found by.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<String>,
    /// When it starts by itself.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub schedules: Vec<String>,
    /// The input of one that is given none, as JSON: `null` or `{}`, whichever its type takes; `None` where it needs one.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "as_json")]
    pub without_input: Option<Payload>,
}

impl WorkflowInfo {
    pub(crate) fn of(def: &WorkflowDef) -> Self {
        let options = &def.options;
        let texts = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
        Self {
            name: def.name.to_owned(),
            version: def.version,
            accepts: def.accepts.clone(),
            module: def.module.to_owned(),
            timeout: options.timeout,
            deadline: options.deadline,
            max_attempts: options.max_attempts,
            restart: options.restart,
            queue: options.queue.map(str::to_owned),
            concurrency: options.concurrency,
            on_conflict: options.on_conflict,
            lock: options.lock.map(str::to_owned),
            tags: texts(options.tags),
            schedules: texts(options.schedules),
            without_input: without_input(def),
        }
    }

    /// What is known of a workflow that nobody has described: its name, and a version that somebody may have.
    pub(crate) fn unknown(name: &str, version: u32) -> Self {
        Self {
            name: name.to_owned(),
            version,
            accepts: version..=version,
            module: String::new(),
            timeout: None,
            deadline: None,
            max_attempts: None,
            restart: false,
            queue: None,
            concurrency: None,
            on_conflict: OnConflict::default(),
            lock: None,
            tags: Vec::new(),
            schedules: Vec::new(),
            without_input: None,
        }
    }
}

/// What stands for no input: nothing at all, or an object whose fields take their defaults.
fn without_input(def: &WorkflowDef) -> Option<Payload> {
    let forms = [Payload::null(), Payload::from_json("{}")];
    forms.into_iter().find(|form| (def.reencode)(form).is_ok())
}

/// A recorded value as it is; `null` is a value.
mod as_json {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    use crate::payload::Payload;

    #[expect(clippy::ref_option, reason = "serde calls it so")]
    pub(super) fn serialize<S: Serializer>(
        value: &Option<Payload>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        value.serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<Payload>, D::Error> {
        Payload::deserialize(deserializer).map(Some)
    }
}

/// A span of time as text: `1m 30s`.
mod as_duration {
    use std::time::Duration;

    use serde::{Deserialize, Deserializer, Serializer, de};

    #[expect(clippy::ref_option, reason = "serde calls it so")]
    pub(super) fn serialize<S: Serializer>(
        span: &Option<Duration>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        match span {
            Some(span) => serializer.collect_str(&humantime::format_duration(*span)),
            None => serializer.serialize_none(),
        }
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<Duration>, D::Error> {
        let text = Option::<String>::deserialize(deserializer)?;
        let span = text.map(|text| humantime::parse_duration(&text));
        span.transpose().map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_said_is_left_out() {
        let json = r#"{"name":"a","version":2,"accepts":{"start":1,"end":2},"module":"m","timeout":"1m 30s","on_conflict":"skip"}"#;
        let info: WorkflowInfo = serde_json::from_str(json).unwrap();
        assert_eq!(info.timeout, Some(Duration::from_secs(90)));
        assert_eq!(info.on_conflict, OnConflict::Skip);
        assert_eq!(serde_json::to_string(&info).unwrap(), json);
    }

    #[test]
    fn that_nothing_stands_for_no_input_is_told_from_nothing_being_known() {
        let known = WorkflowInfo {
            without_input: Some(Payload::null()),
            ..WorkflowInfo::unknown("a", 1)
        };
        for info in [known, WorkflowInfo::unknown("a", 1)] {
            let json = serde_json::to_string(&info).unwrap();
            assert_eq!(serde_json::from_str::<WorkflowInfo>(&json).unwrap(), info);
        }
    }

    #[test]
    fn what_a_newer_program_says_is_passed_over() {
        let json =
            r#"{"name":"a","version":1,"accepts":{"start":1,"end":1},"module":"m","colour":"red"}"#;
        let info: WorkflowInfo = serde_json::from_str(json).unwrap();
        assert_eq!(
            WorkflowInfo {
                module: String::new(),
                ..info
            },
            WorkflowInfo::unknown("a", 1)
        );
    }
}
