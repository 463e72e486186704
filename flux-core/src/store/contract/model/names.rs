//! What the random operations are about: how many of each, and how they are named.

use std::time::Duration;

use crate::clock::Timestamp;
use crate::store::NewMessage;
use crate::store::contract::given::{at, signal, signal_once};

/// So many of the latest executions are touched.
pub(super) const IDS: usize = 24;
pub(super) const WORKERS: usize = 3;
/// A span that begins shortly after a full hour does not end near one: how long operations take does not matter.
pub(super) const RATE_PER: Duration = Duration::from_mins(90);
pub(super) const QUEUES: usize = 3;
pub(super) const SCHEDULE: &str = "daily";

/// The last moment that is a multiple of so many minutes.
pub(super) fn whole(moment: Timestamp, minutes: i64) -> Timestamp {
    let (micros, span) = (moment.as_micros() - at(0).as_micros(), minutes * 60_000_000);
    at(micros.div_euclid(span) * span)
}

pub(super) fn name(id: usize) -> String {
    format!("e{id}")
}

pub(super) fn message(name_of: usize, dedup: Option<usize>) -> NewMessage {
    let value = format!("{dedup:?}").len().to_string();
    match dedup {
        Some(key) => signal_once(&name(name_of), &value, &name(key)),
        None => signal(&name(name_of), &value),
    }
}
