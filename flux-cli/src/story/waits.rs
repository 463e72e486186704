//! Where an execution is: its status, and the one line that says what it waits for and until when.

use std::time::{Duration, SystemTime};

use flux_core::store::{QueueRecord, WorkerRecord};
use flux_core::{CallInfo, CallKind, CallStatus, Execution, Status};

use super::{due_text, is_obstructed, not_before, obstacle_note};
use crate::ids::short;
use crate::output::{Output, printable, span};

/// Where an execution is.
#[derive(Clone, Debug)]
pub(crate) struct Whereabouts {
    /// What it waits for and until when, or how it ended.
    pub(crate) line: String,
    /// Who drives it, where somebody should.
    pub(crate) driver: Driver,
    /// The queue it waits in, where that starts nothing for now.
    pub(crate) stopped_queue: Option<String>,
}

impl Whereabouts {
    /// The line as a sentence of its own.
    pub(crate) fn sentence(&self, status: Status) -> String {
        if status.is_finished() {
            return format!("{status} {}", self.line);
        }
        self.line.clone()
    }
}

/// Who drives an execution.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Driver {
    /// Nobody needs to.
    Nobody,
    /// This process lives.
    Alive(String),
    /// The process that did is gone.
    Dead,
    /// It waits for a worker.
    Awaited {
        /// Whether one that has its code lives.
        is_served: bool,
    },
    /// It has been ready for so long, and the workers that serve it leave it alone.
    LeftAlone(Duration),
}

/// Finds out where an execution is, from its row, its calls, the workers there are, and its queue where it waits in one.
pub(crate) fn whereabouts(
    execution: &Execution,
    calls: &[CallInfo],
    workers: &[WorkerRecord],
    queue: Option<&QueueRecord>,
    output: &Output,
) -> Whereabouts {
    let driver = driver(execution, workers, queue, output.now);
    let line = match execution.status() {
        _ if is_obstructed(execution) => obstacle_note(execution).unwrap_or_default(),
        _ if execution.held().is_some() => {
            format!("on hold: {}", execution.held().unwrap_or_default())
        }
        Status::Pending => pending(execution, queue, output),
        Status::Running => running(execution, calls, &driver, output),
        Status::Paused => paused(execution, output.now),
        status => ended(status, execution),
    };
    let is_stopped =
        |queue: &&QueueRecord| queue.settings.is_paused && execution.status() == Status::Pending;
    Whereabouts {
        line,
        driver,
        stopped_queue: queue.filter(is_stopped).map(|queue| queue.name.to_string()),
    }
}

/// What is ready for longer than this, and has workers, is left alone by them.
const PATIENCE: Duration = Duration::from_secs(30);

fn driver(
    execution: &Execution,
    workers: &[WorkerRecord],
    queue: Option<&QueueRecord>,
    now: SystemTime,
) -> Driver {
    if execution.has_finished() || execution.held().is_some() {
        return Driver::Nobody;
    }
    if let Some(owner) = execution.worker() {
        let record = workers
            .iter()
            .find(|worker| worker.id == owner && worker.is_alive);
        return match record {
            Some(worker) => Driver::Alive(format!("process {} on {}", worker.pid, worker.host)),
            None => Driver::Dead,
        };
    }
    let is_served = is_served(execution, workers);
    if execution.status() == Status::Paused && !has_news(execution, now) {
        return Driver::Nobody;
    }
    let ready = execution.ready_at().filter(|_| is_served);
    match ready.map(|ready| now.duration_since(ready)) {
        Some(Err(_)) => Driver::Nobody,
        // What keeps them from it is told.
        Some(Ok(_)) if execution.obstacle().is_some() => Driver::Nobody,
        // In a queue it may wait for its turn.
        Some(Ok(_)) if queue.is_some() => Driver::Nobody,
        Some(Ok(late)) if late > PATIENCE => Driver::LeftAlone(late),
        _ => Driver::Awaited { is_served },
    }
}

/// Whether a paused execution was sent something that nobody has delivered yet: an answer, a signal, a cancellation.
pub(crate) fn has_news(execution: &Execution, now: SystemTime) -> bool {
    execution.worker().is_none() && execution.ready_at().is_some_and(|ready| ready <= now)
}

/// Whether somebody who lives would take an execution.
pub(crate) fn is_served(execution: &Execution, workers: &[WorkerRecord]) -> bool {
    workers
        .iter()
        .any(|worker| worker.is_alive && serves(worker, execution))
}

/// Whether a worker would take an execution.
fn serves(worker: &WorkerRecord, execution: &Execution) -> bool {
    let (workflow, version) = (execution.workflow(), execution.version());
    let serves = worker.serves.as_ref();
    serves.is_some_and(|serves| serves.takes(workflow, version, execution.queue()))
}

fn pending(execution: &Execution, queue: Option<&QueueRecord>, output: &Output) -> String {
    let place = match (execution.queue(), queue) {
        (Some(name), Some(queue)) => format!("waits its turn in queue `{name}`{}", fullness(queue)),
        (Some(name), None) => format!("waits its turn in queue `{name}`"),
        (None, _) => "waits for a worker".to_owned(),
    };
    match not_before(execution, output) {
        Some(due) => format!("{place}, not before {}", due_text(due, output)),
        // The queue's own reason is told with it.
        None if queue.is_some() => place,
        None => match obstacle_note(execution) {
            Some(why) => format!("{place}: {why}"),
            None => place,
        },
    }
}

/// Why a queue may not start what waits in it.
fn fullness(queue: &QueueRecord) -> String {
    match queue.settings.concurrency {
        _ if queue.settings.is_paused => ", which is paused".to_owned(),
        Some(limit) if queue.running >= u64::from(limit) => {
            format!(", which is full: {} of {limit} run", queue.running)
        }
        _ => String::new(),
    }
}

fn paused(execution: &Execution, now: SystemTime) -> String {
    let points = execution.pause_points().iter().map(|point| {
        let wants = point
            .wants()
            .map(|wants| format!(" for a value of type `{wants}`"));
        format!("`{}`{}", point.full_name(), wants.unwrap_or_default())
    });
    let points: Vec<_> = points.collect();
    let many = if points.len() > 1 { "s" } else { "" };
    let news = if has_news(execution, now) {
        "; something has come for it that a worker has yet to deliver"
    } else {
        ""
    };
    format!("waits at pause point{many} {}{news}", points.join(" and "))
}

fn ended(status: Status, execution: &Execution) -> String {
    let took = span(execution.duration());
    match (status, execution.termination_reason()) {
        (Status::Terminated, Some(reason)) => format!("after {took}: {}", printable(reason)),
        _ => format!("after {took}"),
    }
}

fn running(execution: &Execution, calls: &[CallInfo], driver: &Driver, output: &Output) -> String {
    let open: Vec<&CallInfo> = calls.iter().filter(|call| is_open(call)).collect();
    let is_driven = matches!(driver, Driver::Alive(_));
    let parts: Vec<String> = open
        .iter()
        .filter_map(|call| about(call, is_driven, output))
        .collect();
    let due = open
        .iter()
        .filter(|call| call.kind() == CallKind::Timer)
        .filter_map(|call| call.due())
        .min();
    match (parts.is_empty(), due) {
        (true, Some(due)) => format!("sleeps until {}", due_text(due, output)),
        (true, None) => format!("for {}", span(execution.duration())),
        (false, Some(due)) => format!("{}, until {}", some(&parts), due_text(due, output)),
        (false, None) => some(&parts),
    }
}

fn is_open(call: &CallInfo) -> bool {
    matches!(
        call.status(),
        CallStatus::Running | CallStatus::Retrying | CallStatus::Waiting
    )
}

/// What is to be said of a call that has no outcome yet; of a timer, that is said with the rest.
fn about(call: &CallInfo, is_driven: bool, output: &Output) -> Option<String> {
    let name = call.name();
    Some(match (call.kind(), call.status()) {
        (CallKind::Task, CallStatus::Retrying) => {
            let due = call
                .due()
                .map(|due| format!(" at {}", due_text(due, output)));
            format!("tries `{name}` again{}", due.unwrap_or_default())
        }
        (CallKind::Task, _) if !is_driven => format!("is to run `{name}`"),
        (CallKind::Task, _) => {
            let since = output.now.duration_since(call.started_at());
            let since = span(since.unwrap_or_default());
            match call.attempts() {
                0 | 1 => format!("runs `{name}` for {since}"),
                attempt => format!("runs `{name}`, attempt {attempt}, for {since}"),
            }
        }
        (CallKind::Child, _) => {
            let id = call.child().map(|id| format!(" ({})", short(id)));
            format!("waits for `{name}`{}", id.unwrap_or_default())
        }
        (CallKind::Signal, _) => format!("waits for signal `{name}`"),
        (CallKind::Pause, _) => format!("waits at pause point `{name}`"),
        _ => return None,
    })
}

/// The first few of what may be many.
fn some(parts: &[String]) -> String {
    const NAMED: usize = 3;
    let named = parts[..parts.len().min(NAMED)].join("; ");
    match parts.len().saturating_sub(NAMED) {
        0 => named,
        more => format!("{named}; and {more} more"),
    }
}
