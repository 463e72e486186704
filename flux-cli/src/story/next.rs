//! What can be done next: commands that are ready to be pasted.

use flux_core::{
    CallInfo, CallKind, CallStatus, Execution, Failure, FailureKind, ObstacleKind, Status,
};

use super::again;
use super::is_obstructed;
use super::waits::{Driver, Whereabouts};

/// One thing that can be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Step {
    /// The words after the program's name.
    pub(crate) words: Vec<String>,
    /// What it does.
    pub(crate) why: String,
    /// Whether it is for the program that has the code, and this one has it not.
    pub(crate) is_elsewhere: bool,
}

impl Step {
    fn new(words: &[&str], why: impl Into<String>) -> Self {
        Self {
            words: words.iter().map(|word| (*word).to_owned()).collect(),
            why: why.into(),
            is_elsewhere: false,
        }
    }

    fn elsewhere(words: &[&str], why: impl Into<String>) -> Self {
        Self {
            is_elsewhere: true,
            ..Self::new(words, why)
        }
    }
}

/// What can be done next, the likeliest first; `begun_again`: the calls that a retry makes again because they were rolled
/// back; `is_here`: this program has its code.
pub(crate) fn next_steps(
    execution: &Execution,
    calls: &[CallInfo],
    begun_again: &[CallInfo],
    place: &Whereabouts,
    is_here: bool,
) -> Vec<Step> {
    let id = crate::ids::short(execution.execution_id());
    let mut steps = match execution.status() {
        _ if execution.held().is_some() => vec![
            Step::new(&["resume", id], "let it go on"),
            Step::new(
                &["terminate", id, "--reason", "<why>"],
                "end it where it stands",
            ),
        ],
        Status::Pending => vec![Step::new(&["cancel", id], "take it back")],
        Status::Running => running(execution, calls, id),
        Status::Paused => paused(execution, id),
        Status::Completed => vec![Step::new(&["result", id], "its output alone")],
        Status::Failed => failed(execution, begun_again, id),
        _ => vec![Step::new(&["events", id], "its history")],
    };
    if let Some(queue) = &place.stopped_queue {
        steps.insert(
            0,
            Step::new(&["queue", "resume", queue], "let its queue start again"),
        );
    }
    if is_obstructed(execution) {
        steps.splice(0..0, unblocked(execution, id, is_here));
    }
    let mut first = match &place.driver {
        Driver::Dead | Driver::Awaited { is_served: false } => undriven(execution, id, is_here),
        _ => Vec::new(),
    };
    first.append(&mut steps);
    first
}

/// What helps one that cannot continue.
fn unblocked(execution: &Execution, id: &str, is_here: bool) -> Option<Step> {
    let step = if is_here { Step::new } else { Step::elsewhere };
    match execution.obstacle()?.kind() {
        ObstacleKind::Divergence | ObstacleKind::Decode => Some(step(
            &["replay", id],
            "where its code and its history part".to_owned(),
        )),
        _ => None,
    }
}

/// What brings on an execution that nobody drives.
fn undriven(execution: &Execution, id: &str, is_here: bool) -> Vec<Step> {
    let step = if is_here { Step::new } else { Step::elsewhere };
    let (here, there) = if is_here {
        (" here", String::new())
    } else {
        let workflow = execution.workflow();
        ("", format!(", in the program that has `{workflow}`"))
    };
    let mut steps = Vec::new();
    if execution.status() != Status::Pending {
        steps.push(step(&["resume", id], format!("go on with it{here}{there}")));
    }
    steps.push(step(
        &["worker"],
        format!("drive this and all that is ready{there}"),
    ));
    steps
}

fn running(execution: &Execution, calls: &[CallInfo], id: &str) -> Vec<Step> {
    let mut steps = Vec::new();
    for signal in execution.awaited_signals() {
        steps.push(Step::new(
            &["signal", id, &signal, "<json>"],
            format!("send what it waits for, `{signal}`"),
        ));
    }
    let children = calls
        .iter()
        .filter(|call| call.kind() == CallKind::Child && call.status() == CallStatus::Running)
        .filter_map(CallInfo::child);
    for child in children.take(1) {
        let child = crate::ids::short(child);
        steps.push(Step::new(&["show", child], "the child it waits for"));
    }
    steps.push(Step::new(
        &["show", id, "--follow"],
        "see each event as it happens",
    ));
    steps.push(Step::new(&["cancel", id], "ask it to end"));
    steps
}

fn paused(execution: &Execution, id: &str) -> Vec<Step> {
    let points = execution.pause_points();
    let mut steps: Vec<Step> = points
        .iter()
        .map(|point| {
            let name = point.full_name();
            let mut words = vec!["resume", id];
            if point.wants().is_some() {
                words.push("<json>");
            }
            if points.len() > 1 {
                words.extend(["--at", &name]);
            }
            let why = match point.wants() {
                Some(wants) => format!("answer `{name}` with a value of type `{wants}`"),
                None => format!("go on from `{name}`"),
            };
            Step::new(&words, why)
        })
        .collect();
    steps.push(Step::new(&["cancel", id], "ask it to end"));
    steps
}

fn failed(execution: &Execution, begun_again: &[CallInfo], id: &str) -> Vec<Step> {
    let failure = execution.failure();
    let again = failure.map(|failure| again(failure, begun_again));
    let again = again.filter(|lines| !lines.is_empty());
    let is_rolled_back = failure.is_some_and(Failure::is_rolled_back);
    let escaped = failure.map(Failure::escaped).unwrap_or_default();
    let is_panic = failure.is_some_and(|failure| failure.kind() == FailureKind::Panicked);
    let why = match (again, escaped) {
        (Some(lines), _) if is_rolled_back => lines.join("; "),
        (Some(lines), _) => format!("{}; what succeeded is kept", lines.join("; ")),
        (None, []) if is_panic => "run its code again".to_owned(),
        (None, []) => "run its code again: it decided to fail by itself".to_owned(),
        (None, [call]) => format!("try `{}` again; what succeeded is kept", call.task),
        (None, calls) => format!("try {} calls again; what succeeded is kept", calls.len()),
    };
    vec![
        Step::new(&["retry", id], why),
        Step::new(&["show", id, "--io"], "with inputs and outputs"),
    ]
}
