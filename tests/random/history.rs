//! What holds for every history.

use std::collections::{BTreeMap, BTreeSet};

use flux::{Event, EventKind};

fn is_call(kind: EventKind) -> bool {
    use EventKind::{ChildStarted, PauseReached, SignalAwaited, TaskStarted, TimerStarted};
    matches!(
        kind,
        TaskStarted | TimerStarted | SignalAwaited | PauseReached | ChildStarted
    )
}

fn answers(kind: EventKind) -> Option<EventKind> {
    Some(match kind {
        EventKind::TaskCompleted | EventKind::TaskFailed | EventKind::TaskAttemptFailed => {
            EventKind::TaskStarted
        }
        EventKind::TaskInterrupted | EventKind::TaskDiscarded => EventKind::TaskStarted,
        EventKind::TimerFired => EventKind::TimerStarted,
        EventKind::SignalReceived => EventKind::SignalAwaited,
        EventKind::PauseAnswered => EventKind::PauseReached,
        EventKind::ChildCompleted | EventKind::ChildFailed => EventKind::ChildStarted,
        _ => return None,
    })
}

fn ends_a_call(kind: EventKind) -> bool {
    use EventKind::{TaskAttemptFailed, TaskDiscarded, TaskInterrupted};
    let notes = [TaskAttemptFailed, TaskInterrupted, TaskDiscarded];
    answers(kind).is_some() && !notes.contains(&kind)
}

fn is_end(kind: EventKind) -> bool {
    use EventKind::{WorkflowCancelled, WorkflowCompleted, WorkflowFailed, WorkflowTerminated};
    matches!(
        kind,
        WorkflowCompleted | WorkflowFailed | WorkflowCancelled | WorkflowTerminated
    )
}

/// Whether it is numbered from 1 without gaps, time never runs backwards, every completion answers a recorded
/// call of its kind, no call is answered or dropped twice between two rewinds, and nothing follows an end but a
/// rewind.
pub(crate) fn check(events: &[Event]) -> Result<(), String> {
    let mut calls: BTreeMap<u32, EventKind> = BTreeMap::new();
    let mut closed: BTreeSet<u32> = BTreeSet::new();
    let mut ended = false;
    for (index, event) in events.iter().enumerate() {
        let fail = |what: &str| Err(format!("event {} {}: {what}", event.seq, event.kind));
        if event.seq.get() as usize != index + 1 {
            return fail("its number leaves a gap");
        }
        if index > 0 && events[index - 1].at > event.at {
            return fail("it is earlier than the one before");
        }
        if event.kind == EventKind::Rewound {
            (closed, ended) = (BTreeSet::new(), false);
            continue;
        }
        if ended {
            return fail("it follows the end");
        }
        ended = is_end(event.kind);
        if is_call(event.kind) {
            calls.insert(event.seq.get(), event.kind);
        }
        let Some(call) = event
            .refers
            .map(flux::EventSeq::get)
            .filter(|_| !is_call(event.kind))
        else {
            continue;
        };
        if let Some(wanted) = answers(event.kind)
            && calls.get(&call) != Some(&wanted)
        {
            return fail("it answers no recorded call");
        }
        let is_attempt = matches!(
            event.kind,
            EventKind::TaskInterrupted | EventKind::TaskAttemptFailed
        );
        if is_attempt && closed.contains(&call) {
            return fail("its call was answered or dropped before");
        }
        let closes = ends_a_call(event.kind)
            || matches!(event.kind, EventKind::CallCancelled | EventKind::CallReused);
        if closes && !closed.insert(call) {
            return fail("its call was answered or dropped before");
        }
    }
    match events.first().map(|event| event.kind) {
        Some(EventKind::WorkflowStarted | EventKind::WorkflowQueued) => Ok(()),
        first => Err(format!("it begins with {first:?}")),
    }
}

/// The keys of the calls whose body is recorded as done.
pub(crate) fn completed_bodies(id: &str, events: &[Event]) -> Vec<String> {
    let done = events
        .iter()
        .filter(|event| event.kind == EventKind::TaskCompleted);
    done.filter_map(|event| Some(format!("{id}/{}", event.refers?)))
        .collect()
}

/// A history as text, one event in a line.
pub(crate) fn lines(events: &[Event]) -> String {
    let text = |event: &Event| {
        let refers = event
            .refers
            .map(|refers| refers.to_string())
            .unwrap_or_default();
        let name = event.name.as_deref().unwrap_or_default();
        let payload = event
            .payload
            .as_ref()
            .map_or("", |payload| payload.as_str());
        let payload: String = payload.chars().take(60).collect();
        let at = event.at.as_micros();
        format!(
            "{:>4} {at} {} {refers} {name} {payload}\n",
            event.seq, event.kind
        )
    };
    events.iter().map(text).collect()
}
