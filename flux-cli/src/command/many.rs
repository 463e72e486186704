//! What came of something done to several executions.

use flux_core::{Engine, Error, Execution};

use crate::exit::{Exit, Failure, Outcome};
use crate::ids::short;
use crate::session::Session;
use crate::story::is_served;
use crate::view::ExecutionView;

/// Prints the executions as they now are; what could not be done is said, and counts.
pub(super) async fn report(
    session: &Session,
    engine: &Engine,
    results: Vec<(&Execution, Result<(), Error>)>,
) -> Outcome {
    let mut failures = Vec::new();
    let mut left = Vec::new();
    let all = results.len();
    for (execution, result) in results {
        match result {
            Ok(()) => {
                left.push(engine.get(execution.execution_id()).await?);
            }
            Err(error) => {
                let failure = Failure::from(error);
                session.say(format!(
                    "{}: {}",
                    short(execution.execution_id()),
                    failure.message
                ));
                failures.push(failure);
            }
        }
    }
    let views = ExecutionView::read_all(engine, &left, &session.output).await?;
    session.output.rows(&views)?;
    say_unserved(session, engine, &left).await?;
    let Some(first) = failures.first() else {
        return Ok(Exit::Done);
    };
    // They may have failed for several reasons: only one that all share tells more than "not all".
    let exit = if failures.iter().all(|failure| failure.exit == first.exit) {
        first.exit
    } else {
        Exit::Operational
    };
    Err(Failure::new(
        exit,
        format!("{} of {all} could not be done", failures.len()),
    ))
}

/// Says so where some of them wait for a worker that nobody runs.
async fn say_unserved(
    session: &Session,
    engine: &Engine,
    executions: &[Execution],
) -> Result<(), Failure> {
    let workers = engine.workers().await?;
    let waits = |execution: &&Execution| {
        let is_at_rest = execution.has_finished() || execution.held().is_some();
        !is_at_rest && execution.ready_at().is_some() && !is_served(execution, &workers)
    };
    let count = executions.iter().filter(waits).count();
    if count > 0 {
        session.say(format!(
            "{count} of them wait for a worker, and nobody serves them: start one in the program that has their code"
        ));
    }
    Ok(())
}
