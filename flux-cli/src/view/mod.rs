//! What is shown of things: rows of tables, and JSON whose keys are kept (`docs/cli.md`).

mod call;
mod event;
mod execution;
mod queue;
mod schedule;
mod unread;
mod worker;
mod workflow;

use std::time::SystemTime;

use flux_core::clock::Timestamp;
use serde::Serializer;

pub(crate) use call::CallView;
pub(crate) use event::{EventView, Names};
pub(crate) use execution::{ExecutionView, failure_text};
pub(crate) use queue::QueueView;
pub(crate) use schedule::{MomentView, ScheduleView};
pub(crate) use unread::UnreadView;
pub(crate) use worker::WorkerView;
pub(crate) use workflow::WorkflowView;

/// Moments in JSON: `2026-01-02T03:04:05.678901Z`.
pub(crate) fn iso<S: Serializer>(moment: &SystemTime, to: S) -> Result<S::Ok, S::Error> {
    to.collect_str(&Timestamp::from(*moment))
}

/// Moments that may not be, in JSON.
#[expect(
    clippy::ref_option,
    reason = "serde calls it with a reference to the field"
)]
pub(crate) fn maybe_iso<S: Serializer>(
    moment: &Option<SystemTime>,
    to: S,
) -> Result<S::Ok, S::Error> {
    match moment {
        Some(moment) => iso(moment, to),
        None => to.serialize_none(),
    }
}

/// A span in JSON: milliseconds.
pub(crate) fn millis(span: std::time::Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}
