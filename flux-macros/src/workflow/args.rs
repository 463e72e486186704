//! What the attribute says.

use std::ops::RangeInclusive;
use std::time::Duration;

use proc_macro2::TokenStream;
use quote::ToTokens;
use syn::{Expr, ExprLit, ExprRange, Lit, LitStr, Path, RangeLimits};

use super::admission::{self, Admission};
use crate::attr::{self, Entry, Keys};
use crate::diag::Diagnostics;
use crate::path::Facade;

pub(super) const KEYS: Keys = Keys {
    attribute: "workflow",
    known: &[
        ("name", "name = \"..\""),
        ("version", "version = 2"),
        ("accepts", "accepts = 1..=2"),
        ("error", "error = \"orders.refused\""),
        ("timeout", "timeout = \"1h\""),
        ("deadline", "deadline = \"7d\""),
        (
            "max_attempts",
            "max_attempts = 2` or `max_attempts = \"unlimited\"",
        ),
        ("retry", "retry = \"restart\"` or `retry = \"keep\""),
        (
            "schedule",
            "schedule = \"0 12 * * *\"` or `schedule(\"0 12 * * *\", \"@every 5m\")",
        ),
        ("queue", "queue = \"orders\""),
        ("concurrency", "concurrency = 1"),
        ("on_conflict", "on_conflict = \"queue\""),
        ("lock", "lock = \"user:{id}\""),
        ("tags", "tags(\"billing\", \"eu\")"),
        ("crate", "crate = flux"),
    ],
    later: &["secrets"],
    others: &[
        ("retries", "max_attempts"),
        ("attempts", "max_attempts"),
        ("max_retries", "max_attempts"),
        ("cron", "schedule"),
        ("schedules", "schedule"),
        ("tag", "tags"),
    ],
    repeated: &["schedule"],
};

/// The options, as far as they can be read.
pub(crate) struct WorkflowArgs {
    pub(crate) name: Option<String>,
    pub(crate) version: u32,
    pub(crate) accepts: Option<RangeInclusive<u32>>,
    pub(crate) error: Option<LitStr>,
    pub(crate) timeout: Option<Duration>,
    pub(crate) deadline: Option<Duration>,
    pub(crate) max_attempts: Option<u32>,
    pub(crate) restart: bool,
    pub(crate) admission: Admission,
    pub(crate) facade: Facade,
    renamed: Option<Path>,
}

impl WorkflowArgs {
    pub(crate) fn read(tokens: TokenStream, diag: &mut Diagnostics) -> Self {
        let mut args = Self {
            name: None,
            version: 1,
            accepts: None,
            error: None,
            timeout: None,
            deadline: None,
            max_attempts: None,
            restart: false,
            admission: Admission::default(),
            facade: Facade::default(),
            renamed: None,
        };
        let entries = KEYS.read(tokens, diag);
        for entry in &entries {
            args.set(entry, diag);
        }
        args.accepts_its_own_version(&entries, diag);
        admission::check(&entries, diag);
        args.facade = Facade::new(args.renamed.take());
        args
    }

    fn set(&mut self, entry: &Entry, diag: &mut Diagnostics) {
        match &*entry.name() {
            "name" => self.name = KEYS.parsed(entry, diag, name),
            "version" => self.version = version(entry, diag).unwrap_or(1),
            "accepts" => self.accepts = accepts(entry, diag),
            "error" => self.error = KEYS.error_name(entry, diag),
            "timeout" => self.timeout = KEYS.limit(entry, diag),
            "deadline" => self.deadline = KEYS.limit(entry, diag),
            "max_attempts" => self.max_attempts = KEYS.attempts(entry, diag),
            "retry" => self.restart = KEYS.parsed(entry, diag, restart).unwrap_or(false),
            "crate" => self.renamed = KEYS.path(entry, diag),
            _ => self.admission.set(entry, diag),
        }
    }

    /// A version that could not continue what it wrote itself would be of no use.
    fn accepts_its_own_version(&mut self, entries: &[Entry], diag: &mut Diagnostics) {
        let find = |name: &str| entries.iter().find(|entry| entry.name() == name);
        let (Some(accepts), Some(range)) = (find("accepts"), &self.accepts) else {
            return;
        };
        let version = self.version;
        if find("version").is_none() && *range != (1..=1) {
            let message = "`accepts` names the versions that this one can continue: say which this is with `version = 2`";
            diag.error(&accepts.key, message);
        } else if !range.contains(&version) {
            let message =
                format!("`accepts` leaves out this code's own version, which is {version}");
            diag.error(accepts.value(), message);
            self.accepts = None;
        }
    }
}

fn name(text: &str) -> Result<String, String> {
    if text.trim().is_empty() {
        return Err(
            "a workflow's name cannot be empty; without `name` it is the function's".to_owned(),
        );
    }
    if text.contains(['{', '}']) {
        return Err(
            "a workflow's name has no placeholders: it is how an execution finds its code"
                .to_owned(),
        );
    }
    Ok(text.to_owned())
}

fn version(entry: &Entry, diag: &mut Diagnostics) -> Option<u32> {
    let version = KEYS.number(entry, diag)?;
    if version == 0 {
        diag.error(entry.value(), "versions count from 1");
        return None;
    }
    Some(version)
}

fn restart(text: &str) -> Result<bool, String> {
    match text {
        "restart" => Ok(true),
        "keep" => Ok(false),
        other => Err(format!(
            "`{other}` is no way to retry: \"keep\" keeps what succeeded, \"restart\" starts from nothing"
        )),
    }
}

fn accepts(entry: &Entry, diag: &mut Diagnostics) -> Option<RangeInclusive<u32>> {
    let Some(Expr::Range(ExprRange {
        start: Some(start),
        end: Some(end),
        limits: RangeLimits::Closed(_),
        ..
    })) = entry.assigned()
    else {
        return KEYS.misused(entry, diag);
    };
    let (first, last) = (bound(start, diag)?, bound(end, diag)?);
    if first == 0 {
        diag.error(start, "versions count from 1");
        return None;
    }
    if last < first {
        diag.error(
            entry.value(),
            "this range is empty: the older version comes first",
        );
        return None;
    }
    Some(first..=last)
}

fn bound(expr: &Expr, diag: &mut Diagnostics) -> Option<u32> {
    match attr::ungrouped(expr) {
        Expr::Lit(ExprLit {
            lit: Lit::Int(number),
            ..
        }) => attr::read_number(number, diag),
        other => {
            diag.error(other.to_token_stream(), "a version is a whole number");
            None
        }
    }
}
