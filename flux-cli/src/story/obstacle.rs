//! What kept an execution from continuing, as it is told.

use flux_core::{Execution, Obstacle, ObstacleKind};

use crate::output::{Output, printable};

/// Whether something other than its turn keeps it from continuing: a limit of others is no fault.
pub(crate) fn is_obstructed(execution: &Execution) -> bool {
    let kind = execution.obstacle().map(Obstacle::kind);
    kind.is_some_and(|kind| kind != ObstacleKind::Limit || execution.started_at().is_some())
}

/// What kept it from continuing, in a line of a list; nothing where it continues.
pub(crate) fn obstacle_note(execution: &Execution) -> Option<String> {
    let obstacle = execution.obstacle()?;
    let brief = brief(execution, obstacle);
    if is_obstructed(execution) {
        return Some(format!("cannot continue: {brief}"));
    }
    Some(brief)
}

/// The same with all that was written down, and when.
pub(crate) fn obstacle_text(execution: &Execution, output: &Output) -> Option<String> {
    let obstacle = execution.obstacle().filter(|_| is_obstructed(execution))?;
    let met = format!("met {}", output.moment(obstacle.at()));
    let message = printable(obstacle.message());
    // The note has it whole already.
    if brief(execution, obstacle) == message {
        return Some(met);
    }
    Some(format!("{met}: {message}"))
}

fn brief(execution: &Execution, obstacle: &Obstacle) -> String {
    let at = |what: &str| match obstacle.event() {
        Some(event) => format!("{what} at event {event}"),
        None => what.to_owned(),
    };
    match obstacle.kind() {
        ObstacleKind::Divergence => at("the code no longer matches the history"),
        ObstacleKind::Decode => at("a recorded value is no longer of the type that the code has"),
        ObstacleKind::MissingCode => {
            format!(
                "no worker has code for `{}`",
                printable(execution.workflow())
            )
        }
        ObstacleKind::OtherVersion => {
            format!("no worker continues version {} of it", execution.version())
        }
        _ => printable(obstacle.message()).into_owned(),
    }
}
