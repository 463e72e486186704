//! `result`: what an execution returned.

use crate::args::{ResultOf, Watching};
use crate::exit::{Exit, Failure, Outcome};
use crate::follow::{self, Watched};
use crate::ids;
use crate::output::{self, Format};
use crate::session::Session;
use crate::view::failure_text;

use flux_core::{Execution, Status};

pub(super) async fn result(session: &Session, args: ResultOf) -> Outcome {
    let engine = session.look().await?;
    let id = ids::find(&engine, &args.id).await?;
    if !args.wait {
        return print(session, &engine.get(&id).await?);
    }
    let watching = Watching {
        wait: true,
        follow: false,
        timeout: args.timeout,
    };
    match follow::watch(session, &engine, &id, &watching, None).await? {
        Watched::Settled(execution) | Watched::Late(execution) => print(session, &execution),
        Watched::Interrupted => Ok(follow::say_interrupted(session, &id, false)),
    }
}

/// Prints the output; where there is none, why.
fn print(session: &Session, execution: &Execution) -> Outcome {
    if let Some(output) = execution.output() {
        match session.output.format {
            Format::Jsonl => output::jsonl(output)?,
            _ => output::json(output)?,
        }
        return Ok(Exit::Done);
    }
    Err(no_output(session, execution))
}

/// Why an execution has no output.
pub(super) fn no_output(session: &Session, execution: &Execution) -> Failure {
    let id = ids::short(execution.execution_id());
    let status = execution.status();
    let exit = Exit::of(status);
    let next = session.command(&["show", id]);
    let failure = match (execution.failure(), execution.termination_reason()) {
        (Some(failure), _) => Failure::new(
            exit,
            format!("execution `{id}` failed: {}", failure_text(failure)),
        ),
        (None, Some(reason)) => {
            Failure::new(exit, format!("execution `{id}` was terminated: {reason}"))
        }
        _ if status == Status::Cancelled => {
            Failure::new(exit, format!("execution `{id}` was cancelled"))
        }
        _ => Failure::new(
            exit,
            format!("execution `{id}` has no output yet: it is {status}"),
        ),
    };
    failure.hint(next)
}
