//! Children: what is recorded of them exists.

use std::collections::BTreeSet;

use flux::{CallInfo, CallStatus, Event, EventKind};
use flux_core::TaskFailure;

use super::Evidence;

pub fn check(evidence: &Evidence) -> Vec<String> {
    let there: BTreeSet<_> = evidence
        .runs
        .iter()
        .map(|(run, _)| run.execution_id())
        .collect();
    let mut wrong = Vec::new();
    for (run, events) in &evidence.runs {
        for call in CallInfo::of(events) {
            let Some(child) = call.child() else { continue };
            // One that was dropped at once need not have been begun, nor one whose result is that of an earlier call, nor
            // one that was refused.
            let is_needed = call.status() != CallStatus::Cancelled
                && !call.is_reused()
                && !is_refused(&call, events);
            if is_needed && !there.contains(child) {
                let events = crate::history::lines(events);
                let id = run.execution_id();
                wrong.push(format!("{id} called {child}, which is not there\n{events}"));
            }
        }
    }
    wrong
}

/// Whether the call failed without its child: that failure counts no attempts.
fn is_refused(call: &CallInfo, events: &[Event]) -> bool {
    let mut failed = events
        .iter()
        .filter(|event| event.kind == EventKind::ChildFailed && event.refers == Some(call.call()));
    failed.any(|event| {
        let failure: Option<TaskFailure> =
            event.payload.as_ref().and_then(|json| json.decode().ok());
        failure.is_some_and(|failure| failure.attempts == 0)
    })
}
