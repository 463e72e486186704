//! `run`: starts an execution and, with its code here, drives it.

use flux_core::Engine;
use serde_json::Value;

use super::settle;
use super::start::{self, Begun};
use crate::args::{Beginning, Run};
use crate::exit::{Exit, Failure, Outcome};
use crate::follow::{Driving, is_quiet_start};
use crate::session::Session;

pub(super) async fn run(session: &Session, args: Run) -> Outcome {
    let Run {
        beginning,
        watching,
    } = args;
    let inputs = start::inputs(&beginning)?;
    let engine = start::open(session).await?;
    let is_for_a_worker =
        beginning.queue.is_some() || beginning.at.is_some() || beginning.delay.is_some();
    if start::has(&engine, &beginning.workflow) && !is_for_a_worker {
        let (begun, driving) = drive(&engine, &beginning, &inputs).await?;
        if !is_quiet_start(session, &watching) {
            let execution = engine.get(&begun.id).await?;
            start::report(session, &engine, &execution, begun.is_new).await?;
        }
        return settle::wait(session, &engine, &begun.id, &watching, Some(driving)).await;
    }
    let begun = start::record(session, &engine, &beginning, &inputs).await?;
    let execution = engine.get(&begun.id).await?;
    let waits = watching.wait || watching.follow;
    if !waits || !is_quiet_start(session, &watching) {
        start::report(session, &engine, &execution, begun.is_new).await?;
    }
    start::warn_unserved(session, &engine, &execution).await?;
    if !waits {
        return Ok(Exit::Done);
    }
    settle::wait(session, &engine, &begun.id, &watching, None).await
}

/// Begins to drive it here, and returns once that is recorded.
async fn drive(
    engine: &Engine,
    beginning: &Beginning,
    inputs: &[Value],
) -> Result<(Begun, Driving), Failure> {
    start::first_that_fits(inputs, async |input| begin(engine, beginning, input).await).await
}

async fn begin(
    engine: &Engine,
    beginning: &Beginning,
    input: &Value,
) -> Result<(Begun, Driving), Failure> {
    let (id, is_new) = start::id_for(engine, beginning).await?;
    if !is_new {
        check_same(engine, beginning, input).await?;
    }
    let mut run = engine
        .run_by_name(&beginning.workflow, input)
        .execution_id(&id)
        .priority(beginning.priority);
    if let Some(key) = &beginning.dedup {
        run = run.dedup(key);
    }
    let mut driving = Driving::here(run);
    // Its first commit, or its end: a refusal, or another execution that stands for it.
    let begun = driving.begun(engine, &id).await?;
    let begun = Begun {
        is_new: is_new && begun == id,
        id: begun,
    };
    Ok((begun, driving))
}

/// Refuses to start what is there with another input, before anything is said of it.
async fn check_same(engine: &Engine, beginning: &Beginning, input: &Value) -> Result<(), Failure> {
    let id = beginning.id.as_deref().unwrap_or_default();
    let start = engine.start_by_name(&beginning.workflow, input);
    // The same start finds it, and does not begin it.
    start.execution_id(id).for_worker().await?;
    Ok(())
}
