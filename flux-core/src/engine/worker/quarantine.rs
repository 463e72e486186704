//! Executions that this program could not drive: some never, some not yet.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::clock::Timestamp;
use crate::error::Error;
use crate::id::ExecutionKey;

/// The first wait before an execution is tried again that could not be driven; it doubles.
const FIRST: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_mins(1);

/// What a worker leaves alone, and until when.
#[derive(Debug, Default)]
pub(super) struct Quarantine {
    inmates: BTreeMap<ExecutionKey, Inmate>,
}

#[derive(Debug)]
struct Inmate {
    times: u32,
    /// `None`: as long as this program runs.
    until: Option<Timestamp>,
}

impl Quarantine {
    /// An execution could not be driven.
    pub(super) fn put(&mut self, key: ExecutionKey, error: &Error, now: Timestamp) {
        let inmate = self.inmates.entry(key).or_insert(Inmate {
            times: 0,
            until: None,
        });
        let wait = FIRST.saturating_mul(1 << inmate.times.min(6)).min(LONGEST);
        inmate.times += 1;
        inmate.until = may_pass(error).then(|| now.after(wait));
    }

    /// An execution was driven as it should be.
    pub(super) fn release(&mut self, key: ExecutionKey) {
        self.inmates.remove(&key);
    }

    /// Whom to leave alone now.
    pub(super) fn inmates(&self, now: Timestamp) -> BTreeSet<ExecutionKey> {
        let inside = self.inmates.iter();
        let inside =
            inside.filter(|(_, inmate)| inmate.until.is_none_or(|until| is_to_come(until, now)));
        inside.map(|(key, _)| *key).collect()
    }

    /// When the next one may be tried again.
    pub(super) fn next(&self, now: Timestamp) -> Option<Timestamp> {
        let ends = self.inmates.values().filter_map(|inmate| inmate.until);
        ends.filter(|until| is_to_come(*until, now)).min()
    }
}

/// Whether a wait has not ended. None is longer than the longest, unless the clock was set back.
fn is_to_come(until: Timestamp, now: Timestamp) -> bool {
    until > now && until.since(now) <= LONGEST
}

/// Whether the same program may succeed another time.
pub(super) fn may_pass(error: &Error) -> bool {
    !matches!(
        error,
        Error::NonDeterminism(_)
            | Error::ReplayDecode { .. }
            | Error::MissingState { .. }
            | Error::FormatTooNew { .. }
            | Error::VersionMismatch { .. }
            | Error::WorkflowNotFound { .. }
            | Error::HistoryTooLong { .. }
    )
}
