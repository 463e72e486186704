//! The three questions people have of an execution: where is it, what happened, what can I do next.

mod again;
mod next;
mod obstacle;
mod owners;
mod timeline;
mod waits;

use std::time::{Duration, SystemTime};

use flux_core::{Execution, Status};

use crate::output::{Output, printable};
use crate::view::failure_text;

pub(crate) use again::{again, again_in_short, repeats_undone};
pub(crate) use next::{Step, next_steps};
pub(crate) use obstacle::{is_obstructed, obstacle_note, obstacle_text};
pub(crate) use owners::Owners;
pub(crate) use timeline::bars;
pub(crate) use waits::{Driver, Whereabouts, has_news, is_served, whereabouts};

/// What matters about an execution, as far as its row and its owner tell: for lists.
pub(crate) fn note(execution: &Execution, owners: &Owners, output: &Output) -> String {
    let crashed = owners.has_crashed(execution).then(|| CRASHED.to_owned());
    let parts = crashed.into_iter();
    // With an obstacle in its way, what it waits for may have come.
    let what = obstacle_note(execution).unwrap_or_else(|| note_of_row(execution, output));
    let parts = parts.chain(Some(what));
    let parts: Vec<String> = parts.filter(|part| !part.is_empty()).collect();
    parts.join("; ")
}

const CRASHED: &str = "crashed: its process is gone";

fn note_of_row(execution: &Execution, output: &Output) -> String {
    if let Some(reason) = execution.held() {
        return format!("on hold: {reason}");
    }
    match execution.status() {
        Status::Pending => pending(execution, output),
        Status::Running => waiting(execution, output),
        Status::Paused => {
            let names = execution.pause_points().iter();
            let names: Vec<_> = names
                .map(|point| format!("`{}`", point.full_name()))
                .collect();
            format!("at {}", names.join(", "))
        }
        Status::Failed => execution.failure().map(failure_text).unwrap_or_default(),
        Status::Terminated => execution
            .termination_reason()
            .map(|reason| printable(reason).into_owned())
            .unwrap_or_default(),
        _ => String::new(),
    }
}

fn pending(execution: &Execution, output: &Output) -> String {
    let mut parts = Vec::new();
    if let Some(queue) = execution.queue() {
        parts.push(format!("in queue `{queue}`"));
    }
    if let Some(due) = not_before(execution, output) {
        parts.push(format!("not before {}", due_text(due, output)));
    }
    parts.join(", ")
}

fn waiting(execution: &Execution, output: &Output) -> String {
    let signals = execution.awaited_signals();
    let mut parts = Vec::new();
    if !signals.is_empty() {
        let names: Vec<_> = signals.iter().map(|name| format!("`{name}`")).collect();
        parts.push(format!("waits for signal {}", names.join(", ")));
    }
    let points = execution.pause_points();
    if !points.is_empty() {
        let names: Vec<_> = points
            .iter()
            .map(|point| format!("`{}`", point.full_name()))
            .collect();
        parts.push(format!("at {}", names.join(", ")));
    }
    if let Some(wakes) = execution.wakes_at() {
        parts.push(format!("until {}", due_text(wakes, output)));
    }
    parts.join(", ")
}

/// The moment before which one that is pending does not start, unless it is about to come.
fn not_before(execution: &Execution, output: &Output) -> Option<SystemTime> {
    const SOON: Duration = Duration::from_secs(1);
    execution.ready_at().filter(|due| *due > output.now + SOON)
}

/// A moment in a sentence: both how far off it is and when, where that helps.
fn due_text(moment: SystemTime, output: &Output) -> String {
    use crate::output::TimeStyle;
    match output.time {
        TimeStyle::Relative => format!(
            "{} ({})",
            TimeStyle::Iso
                .show(moment, output.now)
                .replace(".000000Z", "Z"),
            output.moment(moment)
        ),
        _ => output.moment(moment),
    }
}
