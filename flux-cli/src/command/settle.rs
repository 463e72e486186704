//! How an execution that was waited for stands, said at the end of `run`, `resume` and `retry`.

use std::fmt::Write as _;

use flux_core::{Execution, ExecutionId, Status};

use crate::args::Watching;
use crate::exit::{Exit, Failure, Outcome};
use crate::follow::{self, Driving, Watched};
use crate::ids::short;
use crate::output::{paint, pretty, span, status_style};
use crate::session::Session;
use crate::story::{Owners, again_in_short, note};
use crate::view::{ExecutionView, failure_text};

/// Waits as was asked for and says how it came out.
pub(super) async fn wait(
    session: &Session,
    engine: &flux_core::Engine,
    id: &ExecutionId,
    watching: &Watching,
    driving: Option<Driving>,
) -> Outcome {
    let is_driven_here = driving.as_ref().is_some_and(|driving| driving.is_here);
    match follow::watch(session, engine, id, watching, driving).await? {
        Watched::Settled(execution) => say(session, &execution, watching.follow),
        Watched::Late(execution) => Err(late(session, &execution, is_driven_here)),
        Watched::Interrupted => Ok(follow::say_interrupted(session, id, is_driven_here)),
    }
}

fn late(session: &Session, execution: &Execution, was_driven_here: bool) -> Failure {
    let id = short(execution.execution_id());
    let status = execution.status();
    let late = Failure::new(
        Exit::Unfinished,
        format!("the wait is over: execution `{id}` is {status}"),
    );
    if was_driven_here {
        return late.hint(format!(
            "this process drove it: a worker takes it over, or {}",
            session.command(&["resume", id])
        ));
    }
    late.hint(session.command(&["show", id, "--follow"]))
}

/// Prints how it stands, and what to do about it.
pub(super) fn say(session: &Session, execution: &Execution, was_followed: bool) -> Outcome {
    // A stream of events ends with the last of them.
    // What has finished or paused has no owner.
    if !(was_followed && follow::is_json(session)) {
        let view = ExecutionView::of(execution, &Owners::default());
        session.output.one(&view, || text(session, execution))?;
    }
    suggest(session, execution);
    Ok(Exit::of(execution.status()))
}

fn text(session: &Session, execution: &Execution) -> String {
    let status = execution.status();
    let word = paint(status_style(status).bold(), status);
    let took = span(execution.duration());
    let mut text = String::new();
    match (status, execution.failure()) {
        (Status::Completed, _) => {
            let _ = writeln!(text, "{word} after {took}");
        }
        (_, Some(failure)) => {
            let _ = writeln!(text, "{word} after {took}: {}", failure_text(failure));
        }
        _ => {
            let note = note(execution, &Owners::default(), &session.output);
            let colon = if status == Status::Terminated {
                ":"
            } else {
                ""
            };
            let _ = writeln!(text, "{}", format!("{word}{colon} {note}").trim_end());
        }
    }
    if let Some(output) = execution.output().filter(|output| !output.is_null()) {
        let _ = writeln!(text, "Result:");
        let _ = writeln!(text, "{}", pretty(output));
    }
    text
}

fn suggest(session: &Session, execution: &Execution) {
    let id = short(execution.execution_id());
    match execution.status() {
        Status::Paused => {
            let wants = execution
                .pause_points()
                .iter()
                .any(|point| point.wants().is_some());
            let mut words = vec!["resume", id];
            if wants {
                words.push("<json>");
            }
            session.suggest("go on with it", &words);
        }
        Status::Failed => {
            session.suggest("what happened", &["show", id]);
            let again = execution.failure().and_then(again_in_short);
            let what = again.as_deref().unwrap_or("try again what failed");
            session.suggest(what, &["retry", id]);
        }
        _ => {}
    }
}
