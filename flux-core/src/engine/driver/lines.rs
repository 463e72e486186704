//! Which changes a commit of a driver makes that are worth a line in the log.

use super::core::Core;
use crate::engine::kernel::log::{About, LogLine};
use crate::error::FailureData;
use crate::event::{Event, EventKind};
use crate::execution::{PausePoint, Status};
use crate::store::{Change, ExecutionRecord};

/// The lines of a commit, to be logged once it is written.
pub(super) fn of(core: &Core, events: &[Event], change: Option<&Change>) -> Vec<LogLine> {
    let mut lines = Vec::new();
    let before = core.row.record.as_ref();
    let was_paused = before.is_some_and(|before| before.status == Status::Paused);
    let goes_on = change.is_some_and(|change| change.status == Status::Running);
    let is_resumed = (was_paused && goes_on) || events.iter().any(is_resume(events));
    if is_resumed {
        lines.push(LogLine::Resumed);
    }
    lines.extend(events.iter().filter_map(|event| line(core, event, events)));
    let Some(change) = change.filter(|change| change.status == Status::Paused) else {
        return lines;
    };
    if let Some(reason) = &change.hold {
        lines.push(LogLine::Held {
            reason: reason.clone(),
        });
    } else if is_resumed || !was_paused {
        let points = core.calls.pause_points();
        let at = points.iter().map(PausePoint::full_name).collect();
        lines.push(LogLine::Paused { at });
    }
    lines
}

fn line(core: &Core, event: &Event, events: &[Event]) -> Option<LogLine> {
    Some(match event.kind {
        EventKind::WorkflowStarted if core.row.is_first_start() => start(core),
        EventKind::WorkflowCompleted => LogLine::Completed {
            took: event.at.since(core.row.created_at),
        },
        EventKind::WorkflowFailed => {
            let failure: FailureData = event.payload.as_ref()?.decode().ok()?;
            if has_rewind(events) {
                LogLine::AttemptFailed(Box::new(failure))
            } else {
                LogLine::Failed(Box::new(failure))
            }
        }
        EventKind::WorkflowCancelled => LogLine::Cancelled,
        EventKind::WorkflowTerminated => LogLine::Terminated {
            reason: event.payload.as_ref()?.decode().ok()?,
        },
        _ => return None,
    })
}

/// That the execution has started.
pub(super) fn start(core: &Core) -> LogLine {
    LogLine::Started {
        version: core.def.version,
    }
}

/// Says that the process is gone that drove it before, if it is.
pub(super) fn log_takeover(record: &ExecutionRecord) {
    if let Some(from) = record.taken_from {
        LogLine::TakenOver { from }.log(About::of(record));
    }
}

pub(super) fn log(core: &Core, lines: &[LogLine]) {
    for line in lines {
        line.log(About {
            id: &core.id,
            workflow: core.def.name,
            attempt: core.row.attempt,
        });
    }
}

fn has_rewind(events: &[Event]) -> bool {
    events.iter().any(|event| event.kind == EventKind::Rewound)
}

/// An answer to a pause point, or a rewind that is not the next attempt of what fails in the same commit.
fn is_resume(events: &[Event]) -> impl Fn(&Event) -> bool {
    let fails = events
        .iter()
        .any(|event| event.kind == EventKind::WorkflowFailed);
    move |event| match event.kind {
        EventKind::PauseAnswered => true,
        EventKind::Rewound => !fails,
        _ => false,
    }
}
