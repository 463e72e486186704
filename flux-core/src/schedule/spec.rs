//! A schedule as it is stored.

use std::time::Duration;

use flux_cron::{ScheduleError, Spec};
use serde::{Deserialize, Serialize};

use super::policy::{CatchUp, Overlap};
use super::slot;
use crate::clock::Timestamp;

/// When a schedule fires, and what it does when that is not simple.
///
/// It is stored as JSON that people can read: `{"spec":"0 9 * * 1 America/New_York","overlap":"skip","catch_up":"one",
/// "jitter":"30s"}`. What is left out takes its default.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ScheduleSpec {
    /// The slots.
    #[serde(with = "as_text")]
    pub spec: Spec,
    /// What becomes of a slot while the execution of an earlier one is unfinished.
    #[serde(default)]
    pub overlap: Overlap,
    /// What becomes of the slots that passed while nobody looked.
    #[serde(default)]
    pub catch_up: CatchUp,
    /// The longest time by which the start of an execution is put off, so that schedules of one moment do not start at once.
    #[serde(
        default,
        skip_serializing_if = "Duration::is_zero",
        with = "as_duration"
    )]
    pub jitter: Duration,
}

impl ScheduleSpec {
    /// Reads a schedule such as `"0 9 * * 1 America/New_York"` or `"@every 5m"`; all else is the default.
    ///
    /// # Errors
    ///
    /// When it is no schedule.
    pub fn parse(text: &str) -> Result<Self, ScheduleError> {
        Spec::parse(text).map(Self::from)
    }

    /// Returns the first slot after a moment; `None` when there is none before the end of time.
    pub fn next_after(&self, moment: Timestamp) -> Option<Timestamp> {
        let next = self.spec.next_after(moment.as_micros());
        next.map(Timestamp::from_micros)
    }

    /// Whether a moment is a slot.
    pub fn is_slot(&self, moment: Timestamp) -> bool {
        self.spec.matches(moment.as_micros())
    }

    /// Returns the next slots after a moment, as many as `count`.
    pub fn preview(&self, after: Timestamp, count: usize) -> Vec<Timestamp> {
        let upcoming = self.spec.upcoming(after.as_micros());
        upcoming.take(count).map(Timestamp::from_micros).collect()
    }

    /// Returns when the execution of a slot starts: at the slot, put off by its jitter, which is the same for every worker.
    pub fn starts_at(&self, schedule: &str, slot: Timestamp) -> Timestamp {
        slot.after(slot::jitter(schedule, slot, self.jitter))
    }
}

impl From<Spec> for ScheduleSpec {
    fn from(spec: Spec) -> Self {
        Self {
            spec,
            overlap: Overlap::default(),
            catch_up: CatchUp::default(),
            jitter: Duration::ZERO,
        }
    }
}

mod as_text {
    use flux_cron::Spec;
    use serde::de::Error as _;
    use serde::{Deserialize, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(spec: &Spec, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(spec)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Spec, D::Error> {
        let text = String::deserialize(from)?;
        Spec::parse(&text).map_err(D::Error::custom)
    }
}

mod as_duration {
    use std::time::Duration;

    use serde::de::Error as _;
    use serde::{Deserialize, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(span: &Duration, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(&humantime::format_duration(*span))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Duration, D::Error> {
        let text = String::deserialize(from)?;
        humantime::parse_duration(&text).map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stored(json: &str) -> serde_json::Result<ScheduleSpec> {
        serde_json::from_str(json)
    }

    #[test]
    fn it_is_stored_as_people_would_write_it() {
        let plain = ScheduleSpec::parse("@daily").unwrap();
        let json = r#"{"spec":"@daily","overlap":"skip","catch_up":"one"}"#;
        assert_eq!(serde_json::to_string(&plain).unwrap(), json);
        assert_eq!(stored(json).unwrap(), plain);
        assert_eq!(stored(r#"{"spec":"@daily"}"#).unwrap(), plain);

        let full = ScheduleSpec {
            spec: Spec::parse("0 9 * * 1 America/New_York").unwrap(),
            overlap: Overlap::CancelRunning,
            catch_up: CatchUp::None,
            jitter: Duration::from_millis(90_500),
        };
        let json = r#"{"spec":"0 9 * * 1 America/New_York","overlap":"cancel_running","catch_up":"none","jitter":"1m 30s 500ms"}"#;
        assert_eq!(serde_json::to_string(&full).unwrap(), json);
        assert_eq!(stored(json).unwrap(), full);
    }

    #[test]
    fn what_is_no_schedule_is_not_taken_from_a_store() {
        for (json, why) in [
            (r#"{"spec":"60 * * * *"}"#, "in the minute field, `60`"),
            (
                r#"{"spec":"@daily","overlap":"allways"}"#,
                "unknown variant",
            ),
            (r#"{"spec":"@daily","overlaps":"skip"}"#, "unknown field"),
            (r#"{"spec":"@daily","jitter":"long"}"#, "expected number"),
            ("{}", "missing field `spec`"),
        ] {
            let error = stored(json).unwrap_err().to_string();
            assert!(error.contains(why), "{error}");
        }
    }

    #[test]
    fn a_preview_shows_the_next_slots() {
        let spec = ScheduleSpec::parse("@every 1h").unwrap();
        let hour = |count: u64| Timestamp::from_micros(0).after(Duration::from_hours(count));
        assert_eq!(spec.preview(hour(1), 3), [hour(2), hour(3), hour(4)]);
        assert_eq!(spec.next_after(hour(1)), Some(hour(2)));
        assert!(spec.is_slot(hour(1)));
        assert!(!spec.is_slot(hour(1).after(Duration::from_micros(1))));
        let end = Timestamp::from_micros(i64::MAX);
        assert_eq!(
            (spec.next_after(end), spec.preview(end, 3)),
            (None, Vec::new())
        );
    }

    #[test]
    fn jitter_puts_off_the_start_and_not_the_slot() {
        let mut spec = ScheduleSpec::parse("@every 1h").unwrap();
        let slot = Timestamp::from_micros(0);
        assert_eq!(spec.starts_at("hourly", slot), slot);
        spec.jitter = Duration::from_hours(9);
        let start = spec.starts_at("hourly", slot);
        assert!(start > slot && start <= slot.after(spec.jitter));
        assert_eq!(spec.starts_at("hourly", slot), start);
        assert_ne!(spec.starts_at("nightly", slot), start);
    }
}
