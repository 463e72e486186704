//! Bodies: what ran, by the ledger, and what was recorded of it.

use flux::{Event, EventKind};

use super::Evidence;
use crate::feature::Feature;
use crate::ledger::Run;

pub fn check(evidence: &Evidence) -> Vec<String> {
    let mut wrong = Vec::new();
    for (run, events) in &evidence.runs {
        for event in events
            .iter()
            .filter(|event| event.kind == EventKind::TaskStarted)
        {
            let key = format!("{}/{}", run.execution_id(), event.seq);
            let Some(runs) = evidence.entries.runs.get(&key) else {
                continue;
            };
            let checked = check_call(event, events, runs, &evidence.entries.stopped);
            if let Err(error) = checked {
                let events = crate::history::lines(events);
                wrong.push(format!("{key}: {error}: {runs:?}\n{events}"));
            }
        }
    }
    wrong
}

fn check_call(call: &Event, events: &[Event], runs: &[Run], stopped: &[u32]) -> Result<(), String> {
    let of_call = |kind| {
        let of_kind = events.iter().filter(move |event| event.kind == kind);
        of_kind.filter(|event| event.refers == Some(call.seq))
    };
    let name = call.name.as_deref().unwrap_or_default();
    if runs.iter().any(|run| run.task != name) {
        return Err("its key was given to another task".to_owned());
    }
    // A person may have it tried again, knowing what that means. An attempt of the workflow may not.
    let asked = events
        .iter()
        .filter(|event| super::was_asked(event))
        .count();
    if name == "fire" && runs.len() > 1 + asked {
        return Err(format!("it runs at most once and ran {} times", runs.len()));
    }
    for completed in of_call(EventKind::TaskCompleted) {
        let output = completed.payload.as_ref().unwrap().decode::<String>();
        let output = output.map_err(|error| error.to_string())?;
        let Some(at) = runs.iter().position(|run| run.name == output) else {
            return Err(format!("no run of it is {output}"));
        };
        if !runs[at].has_ended {
            return Err(format!("{output} is recorded, and had not ended"));
        }
        // An earlier run's result may be recorded after a later one has begun, by the process that could not record it at
        // first. Clocks that are set ahead and back tell no order.
        if Feature::Clock.is_on() {
            continue;
        }
        // A process that was stopped between the commit and the body begins it late.
        let is_late = |run: &&Run| run.began > completed.at && !stopped.contains(&run.pid());
        if let Some(again) = runs[at + 1..].iter().find(is_late) {
            return Err(format!(
                "it ran again as {} after {output} was recorded",
                again.name
            ));
        }
    }
    Ok(())
}
