//! `start`: records an execution for a worker, and returns.

use std::collections::BTreeSet;

use flux_core::{Engine, Error, Execution, ExecutionId};
use serde_json::{Value, json};

use super::value;
use crate::args::{self, Beginning};
use crate::exit::{Exit, Failure, Outcome};
use crate::ids;
use crate::known::proven;
use crate::nearest::nearest;
use crate::output::parse_moment;
use crate::session::Session;
use crate::story::is_served;
use crate::view::ExecutionView;

pub(super) async fn start(session: &Session, args: args::Start) -> Outcome {
    let inputs = inputs(&args.beginning)?;
    let engine = open(session).await?;
    let begun = record(session, &engine, &args.beginning, &inputs).await?;
    let execution = engine.get(&begun.id).await?;
    report(session, &engine, &execution, begun.is_new).await?;
    warn_unserved(session, &engine, &execution).await?;
    Ok(Exit::Done)
}

/// The input as it was given, or what stands for none: of these the first that the workflow takes.
pub(super) fn inputs(beginning: &Beginning) -> Result<Vec<Value>, Failure> {
    match &beginning.input {
        Some(given) => Ok(vec![value::read(given, "input")?]),
        None => Ok(no_input()),
    }
}

/// What stands for no input: nothing, or an object whose fields all take their defaults.
pub(super) fn no_input() -> Vec<Value> {
    vec![Value::Null, json!({})]
}

/// An engine whose store is there: a start may create it.
pub(super) async fn open(session: &Session) -> Result<Engine, Failure> {
    if session.has_code {
        return session.drive().await;
    }
    let store = flux_core::maintain(Some(&session.place.location))?;
    if !store.exists() {
        store.migrate().await.map_err(Error::from)?;
    }
    session.look().await
}

/// Whether this program has a workflow.
pub(super) fn has(engine: &Engine, workflow: &str) -> bool {
    engine.workflows().iter().any(|name| name == workflow)
}

/// An execution that a start came to.
pub(super) struct Begun {
    pub(super) id: ExecutionId,
    /// Whether it was there before: the same start again, or another that stands for it.
    pub(super) is_new: bool,
}

/// The id that an execution is to have, and whether there is none of it yet.
pub(super) async fn id_for(
    engine: &Engine,
    beginning: &Beginning,
) -> Result<(ExecutionId, bool), Failure> {
    let Some(id) = &beginning.id else {
        return Ok((ExecutionId::mint(), true));
    };
    if id.starts_with('-') {
        return Err(Failure::usage(format!(
            "`{id}` cannot be the id of an execution: commands would take it for an option"
        )));
    }
    let id = ExecutionId::from(id.as_str());
    match engine.get(&id).await {
        Ok(_) => Ok((id, false)),
        Err(Error::ExecutionNotFound { .. }) => Ok((id, true)),
        Err(error) => Err(error.into()),
    }
}

/// Records the execution, for a worker to take.
pub(super) async fn record(
    session: &Session,
    engine: &Engine,
    beginning: &Beginning,
    inputs: &[Value],
) -> Result<Begun, Failure> {
    let name = &beginning.workflow;
    let (id, is_new) = id_for(engine, beginning).await?;
    let is_ours = has(engine, name);
    let mut inputs = inputs.to_vec();
    if !is_ours {
        check_known(session, engine, name).await?;
        if beginning.input.is_none() {
            inputs = vec![described_without(engine, name).await?];
        }
    }
    let begin = async |input: &Value| {
        let mut start = if is_ours {
            engine.start_by_name(name, input)
        } else {
            engine.start_elsewhere(name, input)
        };
        start = start.execution_id(&id);
        if let Some(queue) = &beginning.queue {
            start = start.queue(queue);
        }
        if let Some(delay) = beginning.delay {
            start = start.delay(delay);
        }
        if let Some(at) = &beginning.at {
            start = start.at(parse_moment(at, session.output.now).map_err(Failure::usage)?);
        }
        if let Some(key) = &beginning.dedup {
            start = start.dedup(key);
        }
        Ok(start.priority(beginning.priority).for_worker().await?)
    };
    let handle = first_that_fits(&inputs, begin).await?;
    let found = handle.execution_id().clone();
    Ok(Begun {
        is_new: is_new && found == id,
        id: found,
    })
}

/// What stands for no input of a workflow that only other programs have.
pub(super) async fn described_without(engine: &Engine, name: &str) -> Result<Value, Failure> {
    let catalog = engine.catalog().await?;
    let newest = catalog
        .into_iter()
        .filter(|info| info.name == name)
        .max_by_key(|info| info.version);
    match newest {
        // What nobody has described may take anything.
        None => Ok(Value::Null),
        Some(info) => {
            let input = info.without_input.and_then(|input| input.decode().ok());
            input.ok_or_else(|| {
                Failure::usage(format!("workflow `{name}` takes an input"))
                    .hint("give it with `--input JSON`")
            })
        }
    }
}

/// Tries inputs one after another; the last one's error counts.
pub(super) async fn first_that_fits<T>(
    inputs: &[Value],
    begin: impl AsyncFn(&Value) -> Result<T, Failure>,
) -> Result<T, Failure> {
    let Some((last, others)) = inputs.split_last() else {
        return Err(Failure::usage("there is no input"));
    };
    for input in others {
        match begin(input).await {
            Err(failure) if failure.exit == Exit::Usage => {}
            other => return other,
        }
    }
    begin(last).await
}

/// Refuses a name that is likely a slip: nothing would ever run it.
async fn check_known(session: &Session, engine: &Engine, name: &str) -> Result<(), Failure> {
    let catalog = engine.catalog().await?;
    let is_described = catalog.iter().any(|info| info.name == name);
    let is_recorded =
        async || Ok::<_, Failure>(!engine.list().workflow(name).limit(1).await?.is_empty());
    if session.is_sure || is_described || is_recorded().await? {
        return Ok(());
    }
    let names = proven(engine).await?;
    let near = nearest(name, names.iter().map(String::as_str));
    if near.is_none() && catalog.is_empty() && !session.has_code {
        // No program has said yet which workflows there are.
        return Ok(());
    }
    let maybe = match near {
        Some(near) => format!("did you mean `{near}`?"),
        None => format!("known are {}.", quote_all(&names)),
    };
    let failure = Failure::not_found(format!("no workflow `{name}` is known here"));
    Err(failure.hint(format!(
        "{maybe} Say `-y` to record it all the same, for a program that will have it"
    )))
}

fn quote_all(names: &BTreeSet<String>) -> String {
    let names: Vec<_> = names.iter().map(|name| format!("`{name}`")).collect();
    names.join(", ")
}

/// Says that it was started, or that it is there already, and how to look at it.
pub(super) async fn report(
    session: &Session,
    engine: &Engine,
    execution: &Execution,
    is_new: bool,
) -> Result<(), Failure> {
    let (id, workflow) = (execution.execution_id(), execution.workflow());
    let text = || {
        let what = if is_new {
            format!("Workflow '{workflow}' started successfully.")
        } else {
            format!("Nothing was started: an execution of '{workflow}' is there already.")
        };
        format!("{what}\nExecution ID: {id}\n")
    };
    let view = ExecutionView::read(engine, execution).await?;
    session.output.one(&view, text)?;
    session.suggest("how it goes", &["status", workflow, "--id", ids::short(id)]);
    Ok(())
}

/// Says so where nobody is there who would take it.
pub(super) async fn warn_unserved(
    session: &Session,
    engine: &Engine,
    execution: &Execution,
) -> Result<(), Failure> {
    let workers = engine.workers().await?;
    let is_driven = workers
        .iter()
        .any(|worker| worker.is_alive && Some(worker.id) == execution.worker());
    if execution.has_finished() || is_driven || is_served(execution, &workers) {
        return Ok(());
    }
    let workflow = execution.workflow();
    let queue = execution
        .queue()
        .map(|queue| format!(" in queue `{queue}`"));
    session.say(format!(
        "nobody serves `{workflow}`{} yet: it waits until a program that has it runs a worker on this store",
        queue.unwrap_or_default()
    ));
    if session.has_code {
        session.suggest("start one", &["worker"]);
    } else {
        session.say(format!(
            "{}  (in that program, with `flux::cli::main()` as its `main`)",
            session.command_elsewhere(&["worker"])
        ));
    }
    Ok(())
}
