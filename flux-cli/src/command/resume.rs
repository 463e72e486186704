//! `resume`: goes on with what is paused, held, crashed or failed.

use flux_core::{
    Engine, Error, EventSeq, Execution, ExecutionId, Failure as Failed, Resume, Status,
};
use futures::{StreamExt, stream};
use serde_json::Value;

use super::{families, settle, start, value};
use crate::args::{self, Selection, Watching};
use crate::exit::{Exit, Failure, Outcome};
use crate::follow::Driving;
use crate::ids;
use crate::select::{Chosen, choose, confirm_many};
use crate::session::Session;
use crate::story::{again, again_in_short, repeats_undone};
use crate::view::ExecutionView;

/// How many of many are driven here at once.
const AT_ONCE: usize = 64;

pub(super) async fn resume(session: &Session, args: args::Resume) -> Outcome {
    let given = args.value.as_deref();
    let value = given.map(|given| value::read(given, "value")).transpose()?;
    let engine = open(session).await?;
    let how = How {
        at: args.at,
        value,
        only_failed: false,
        also: args.also,
    };
    let selection = Selection {
        ids: args.id.into_iter().collect(),
        filters: args.filters,
    };
    let chosen = choose(session, &engine, &selection).await?;
    go_on(session, &engine, chosen, &how, &args.watching, "Resume").await
}

/// An engine that can drive, where this program has code.
pub(super) async fn open(session: &Session) -> Result<Engine, Failure> {
    // A store that is not there is not created: there would be nothing to go on with.
    let look = session.look().await?;
    if session.has_code {
        return session.drive().await;
    }
    Ok(look)
}

/// How executions are gone on with.
pub(super) struct How {
    pub(super) at: Option<String>,
    pub(super) value: Option<Value>,
    /// Whether all but failed ones are refused.
    pub(super) only_failed: bool,
    /// What is not left out of many.
    pub(super) also: args::Also,
}

impl How {
    /// Whether it is for a pause point.
    fn is_answer(&self) -> bool {
        self.at.is_some() || self.value.is_some()
    }

    fn of(&self, engine: &Engine, id: &ExecutionId) -> Resume<Value> {
        let mut resume = if self.only_failed {
            engine.retry(id)
        } else {
            engine.resume(id)
        };
        if let Some(at) = &self.at {
            resume = resume.at(at);
        }
        if let Some(value) = &self.value {
            resume = resume.with(value);
        }
        resume
    }
}

/// Goes on with what was chosen: here where this program has the code, else by a worker.
pub(super) async fn go_on(
    session: &Session,
    engine: &Engine,
    chosen: Chosen,
    how: &How,
    watching: &Watching,
    verb: &str,
) -> Outcome {
    if chosen.one().is_none() && (watching.wait || watching.follow || watching.timeout.is_some()) {
        return Err(Failure::usage(
            "only one execution can be waited for, named by its id",
        ));
    }
    let chosen = chosen.keep(|execution| match execution.status() {
        Status::Failed => true,
        status => !how.only_failed && !status.is_finished() && status != Status::Pending,
    });
    let chosen = leave_out_children(session, engine, chosen).await?;
    let chosen = leave_out(session, chosen, how.also);
    if let Some(exit) = confirm_many(session, &chosen, verb)? {
        return Ok(exit);
    }
    match chosen.one() {
        Some(one) => go_on_with(session, engine, one, how, watching).await,
        None => {
            for execution in &chosen.executions {
                if let Some(again) = execution.failure().and_then(again_in_short) {
                    session.say(format!("{}: {again}", ids::short(execution.execution_id())));
                }
            }
            go_on_with_many(session, engine, &chosen.executions, how).await
        }
    }
}

async fn go_on_with(
    session: &Session,
    engine: &Engine,
    execution: &Execution,
    how: &How,
    watching: &Watching,
) -> Outcome {
    let id = execution.execution_id();
    if how.is_answer() && execution.has_finished() && execution.status() != Status::Failed {
        return Err(Error::AlreadyFinished {
            id: id.clone(),
            status: execution.status(),
        }
        .into());
    }
    say_what_runs_again(session, engine, execution).await?;
    if start::has(engine, execution.workflow()) {
        let driving = Driving::here(how.of(engine, id));
        return settle::wait(session, engine, id, watching, Some(driving)).await;
    }
    let waited = pauses(execution);
    let handle = how.of(engine, id).request().await?;
    let execution = engine.get(id).await?;
    if watching.wait || watching.follow {
        start::warn_unserved(session, engine, &execution).await?;
        let driving = Driving::elsewhere(handle);
        let outcome = settle::wait(session, engine, id, watching, Some(driving)).await;
        say_if_refused(session, engine, id, &waited).await?;
        return outcome;
    }
    if execution.has_finished() && execution.status() != Status::Failed {
        return settle::say(session, &execution, false);
    }
    let verb = if how.only_failed { "retry" } else { "resume" };
    let text = || {
        format!(
            "Asked to {verb} {} ({})",
            ids::short(id),
            execution.workflow()
        )
    };
    let view = ExecutionView::read(engine, &execution).await?;
    session.output.one(&view, text)?;
    start::warn_unserved(session, engine, &execution).await?;
    session.suggest("how it goes", &["show", ids::short(id), "--follow"]);
    Ok(Exit::Done)
}

/// Leaves out, of what filters found, the children whose parents have dealt with their failure.
async fn leave_out_children(
    session: &Session,
    engine: &Engine,
    chosen: Chosen,
) -> Result<Chosen, Failure> {
    if chosen.by_ids {
        return Ok(chosen);
    }
    let dealt_with = families::dealt_with(engine, &chosen.executions).await?;
    let count = dealt_with.len();
    if count > 0 {
        let whose = match count {
            1 => "child whose parent has",
            _ => "children whose parents have",
        };
        session.say(format!(
            "left out: {count} {whose} dealt with the failure; named by its id, a child is retried"
        ));
    }
    Ok(chosen.keep(|execution| !dealt_with.contains(execution.execution_id())))
}

/// Leaves out of what filters found the failed ones that would run something twice, unless a flag names them.
fn leave_out(session: &Session, chosen: Chosen, also: args::Also) -> Chosen {
    let is_rolled_back = |execution: &Execution| {
        !also.rolled_back && execution.failure().is_some_and(repeats_undone)
    };
    let is_unknown = |execution: &Execution| {
        let failure = execution.failure();
        !also.unknown_outcome && failure.is_some_and(Failed::has_unknown_outcome)
    };
    let before = chosen.executions.len();
    let chosen = chosen.keep(|execution| !is_rolled_back(execution));
    let kept = chosen.executions.len();
    if kept < before {
        session.say(format!(
            "left out: {} rolled back, which would run again under new keys; `--rolled-back` includes them",
            before - kept
        ));
    }
    let chosen = chosen.keep(|execution| !is_unknown(execution));
    if chosen.executions.len() < kept {
        session.say(format!(
            "left out: {} with an unknown outcome, whose bodies would run again; `--unknown-outcome` includes them",
            kept - chosen.executions.len()
        ));
    }
    chosen
}

/// Prints, before a retry, which tasks it runs again although they did their work.
async fn say_what_runs_again(
    session: &Session,
    engine: &Engine,
    execution: &Execution,
) -> Result<(), Failure> {
    let Some(failure) = execution.failure() else {
        return Ok(());
    };
    let calls = families::begun_again(engine, execution).await?;
    for line in again(failure, &calls) {
        session.say(line);
    }
    Ok(())
}

/// The pause points that wait, each as the execution and the event it is.
fn pauses(execution: &Execution) -> Vec<(ExecutionId, EventSeq)> {
    let points = execution.pause_points().iter();
    points
        .map(|point| (point.execution_id().clone(), point.event()))
        .collect()
}

/// A worker refuses an answer of a wrong type, which only the code can tell: then the execution waits as it did.
async fn say_if_refused(
    session: &Session,
    engine: &Engine,
    id: &ExecutionId,
    waited: &[(ExecutionId, EventSeq)],
) -> Result<(), Failure> {
    let now = engine.get(id).await?;
    if now.status() == Status::Paused && !waited.is_empty() && pauses(&now) == waited {
        session.say("nothing has changed: no worker has taken the answer, or one has refused it; its log says why");
    }
    Ok(())
}

async fn go_on_with_many(
    session: &Session,
    engine: &Engine,
    executions: &[Execution],
    how: &How,
) -> Outcome {
    let each = executions.iter().map(|execution| async move {
        let id = execution.execution_id();
        let result = if start::has(engine, execution.workflow()) {
            how.of(engine, id).await.map(drop)
        } else {
            how.of(engine, id).request().await.map(drop)
        };
        (execution, result)
    });
    let results: Vec<_> = stream::iter(each).buffered(AT_ONCE).collect().await;
    super::many::report(session, engine, results).await
}
