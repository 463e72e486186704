//! Children: what is recorded of them exists.

use std::collections::BTreeSet;

use flux::{CallInfo, CallStatus};

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
            // One that was dropped at once need not have been begun, nor one whose result is that of an earlier call.
            let is_needed = call.status() != CallStatus::Cancelled && !call.is_reused();
            if is_needed && !there.contains(child) {
                let events = crate::history::lines(events);
                let id = run.execution_id();
                wrong.push(format!("{id} called {child}, which is not there\n{events}"));
            }
        }
    }
    wrong
}
