//! When an execution ran, by its history.

use flux::clock::Timestamp;
use flux::{Event, EventKind};

pub type Span = (Timestamp, Timestamp);

fn is_end(kind: EventKind) -> bool {
    use EventKind::{WorkflowCancelled, WorkflowCompleted, WorkflowFailed, WorkflowTerminated};
    matches!(
        kind,
        WorkflowCompleted | WorkflowFailed | WorkflowCancelled | WorkflowTerminated
    )
}

/// From its start, and from each time it was opened again, to the next end.
pub fn of(events: &[Event]) -> Vec<Span> {
    let mut spans = Vec::new();
    let mut from = None;
    for event in events {
        match event.kind {
            EventKind::WorkflowStarted | EventKind::Rewound => {
                from.get_or_insert(event.at);
            }
            kind if is_end(kind) => spans.extend(from.take().map(|from| (from, event.at))),
            _ => {}
        }
    }
    spans
}

/// How many overlap at most. One that begins when another ends does not overlap it.
pub fn most_at_once(spans: impl IntoIterator<Item = Span>) -> i32 {
    let mut changes: Vec<_> = spans
        .into_iter()
        .flat_map(|(from, to)| [(from, 1), (to, -1)])
        .collect();
    changes.sort();
    let sums = changes.iter().scan(0, |sum, (_, change)| {
        *sum += change;
        Some(*sum)
    });
    sums.max().unwrap_or(0)
}
