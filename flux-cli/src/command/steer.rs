//! What `pause`, `cancel` and `terminate` have in common: the same deed for each of what was chosen.

use flux_core::{Engine, Error, Execution, ExecutionId};

use super::{many, start};
use crate::args::Selection;
use crate::exit::{Exit, Outcome};
use crate::ids::short;
use crate::select::{choose, confirm_many};
use crate::session::Session;
use crate::view::ExecutionView;

/// Something that is done to an execution.
pub(super) struct Deed<'a, F> {
    /// As the question has it.
    pub(super) verb: &'static str,
    /// As the answer has it.
    pub(super) done: &'static str,
    /// Whether it is a worker that carries it out, where nobody drives the execution.
    pub(super) needs_worker: bool,
    pub(super) act: &'a F,
}

/// Does it to each, after asking where they were not named one by one.
pub(super) async fn each<F>(
    session: &Session,
    engine: &Engine,
    selection: &Selection,
    deed: &Deed<'_, F>,
) -> Outcome
where
    F: AsyncFn(ExecutionId) -> Result<(), Error>,
{
    let chosen = choose(session, engine, selection).await?;
    let chosen = chosen.keep(|execution| !execution.has_finished());
    if let Some(exit) = confirm_many(session, &chosen, deed.verb)? {
        return Ok(exit);
    }
    if let Some(one) = chosen.one() {
        return once(session, engine, one, deed).await;
    }
    let mut results = Vec::with_capacity(chosen.executions.len());
    for execution in &chosen.executions {
        results.push((
            execution,
            (deed.act)(execution.execution_id().clone()).await,
        ));
    }
    many::report(session, engine, results).await
}

async fn once<F>(
    session: &Session,
    engine: &Engine,
    execution: &Execution,
    deed: &Deed<'_, F>,
) -> Outcome
where
    F: AsyncFn(ExecutionId) -> Result<(), Error>,
{
    let id = execution.execution_id();
    (deed.act)(id.clone()).await?;
    let now = engine.get(id).await?;
    let text = || {
        let word = if now.status().to_string() == deed.done || now.held().is_some() {
            deed.done.to_owned()
        } else {
            format!("Asked to {}", deed.verb.to_lowercase())
        };
        format!("{word} {} ({})", short(id), now.workflow())
    };
    let view = ExecutionView::read(engine, &now).await?;
    session.output.one(&view, text)?;
    if deed.needs_worker {
        start::warn_unserved(session, engine, &now).await?;
    }
    Ok(Exit::Done)
}
