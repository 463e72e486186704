//! `workflow ..`: what there is to run.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use flux_core::{CallInfo, CallKind, Engine, WorkflowInfo};
use serde::Serialize;

use crate::args;
use crate::exit::{Exit, Failure, Outcome};
use crate::known::known;
use crate::nearest::nearest;
use crate::output::{Cell, Column, Output, Row, span};
use crate::session::Session;
use crate::view::{ExecutionView, WorkflowView};

/// How many executions `show` has.
const LATEST: usize = 5;

pub(super) async fn workflow(session: &Session, args: args::Workflow) -> Outcome {
    let engine = session.look_if_there().await?;
    match args {
        args::Workflow::List => list(session, &engine).await,
        args::Workflow::Show(args) => show(session, &engine, &args.name).await,
    }
}

/// Everything that this program or the store knows.
async fn views(engine: &Engine) -> Result<Vec<WorkflowView>, Failure> {
    let counts = engine.workflow_counts().await?;
    let workers = engine.workers().await?;
    let here = engine.registered();
    let mut versions: BTreeMap<String, BTreeMap<u32, WorkflowInfo>> = BTreeMap::new();
    // What this program says of itself is newer than what the store remembers.
    for info in engine.catalog().await?.into_iter().chain(here.clone()) {
        versions
            .entry(info.name.clone())
            .or_default()
            .insert(info.version, info);
    }
    let serves = |name: &str| {
        workers
            .iter()
            .filter(|worker| worker.is_alive)
            .filter_map(|worker| worker.serves.as_ref())
            .filter(|serves| serves.code.iter().any(|code| *code.workflow == *name))
            .count()
    };
    let view = |name: String| WorkflowView {
        is_here: here.iter().any(|info| info.name == name),
        served_by: serves(&name),
        executions: counts
            .iter()
            .filter(|count| *count.workflow == *name)
            .map(|count| (count.status.as_str(), count.count))
            .collect(),
        versions: versions
            .get(&name)
            .map(|versions| versions.values().rev().cloned().collect())
            .unwrap_or_default(),
        name,
    };
    Ok(known(engine).await?.into_iter().map(view).collect())
}

async fn list(session: &Session, engine: &Engine) -> Outcome {
    let views = views(engine).await?;
    session.output.rows(&views)?;
    if views.is_empty() && session.output.is_text() {
        session.say("no workflows: neither has this program any, nor has one served this store");
    }
    Ok(Exit::Done)
}

/// A workflow with its tasks and latest executions.
#[derive(Serialize)]
struct Portrait {
    #[serde(flatten)]
    workflow: WorkflowView,
    /// The tasks of its latest execution, in the order they were first called.
    tasks: Vec<String>,
    latest: Vec<ExecutionView>,
}

impl Row for Portrait {
    const COLUMNS: &'static [Column] = &[];

    fn id(&self) -> String {
        self.workflow.name.clone()
    }

    fn cells(&self, _: &Output) -> Vec<Cell> {
        Vec::new()
    }
}

async fn show(session: &Session, engine: &Engine, name: &str) -> Outcome {
    let views = views(engine).await?;
    let Some(workflow) = views.iter().find(|view| view.name == name).cloned() else {
        let failure = Failure::not_found(format!("no workflow `{name}` is known here"));
        return Err(
            failure.did_you_mean(nearest(name, views.iter().map(|view| view.name.as_str())))
        );
    };
    let latest = engine.list().workflow(name).limit(LATEST).await?;
    let mut tasks = Vec::new();
    if let Some(newest) = latest.first() {
        let calls = newest.calls().await?;
        for call in calls.iter().filter(|call| call.kind() == CallKind::Task) {
            if !tasks.iter().any(|task| task == call.name()) {
                tasks.push(CallInfo::name(call).to_owned());
            }
        }
    }
    let latest = ExecutionView::read_all(engine, &latest, &session.output).await?;
    let portrait = Portrait {
        workflow,
        tasks,
        latest,
    };
    session.output.one(&portrait, || text(session, &portrait))?;
    Ok(Exit::Done)
}

fn text(session: &Session, portrait: &Portrait) -> String {
    let Portrait {
        workflow,
        tasks,
        latest,
    } = portrait;
    let mut text = session.output.drawn(std::slice::from_ref(workflow));
    text.push('\n');
    let mut fact = |name: &str, value: String| {
        if !value.is_empty() {
            let _ = writeln!(text, "{name:<12} {value}");
        }
    };
    match workflow.newest() {
        Some(info) => facts(&mut fact, info),
        None => fact(
            "settings",
            "not known: no program that has it has run a worker on this store".to_owned(),
        ),
    }
    fact("tasks", tasks.join(", "));
    if !latest.is_empty() {
        let _ = writeln!(text, "\nLatest executions");
        text.push_str(&session.output.drawn(latest));
    }
    text
}

/// What becomes of an execution beyond the limit, as the attribute has it.
fn on_conflict(info: &WorkflowInfo) -> String {
    let word = serde_json::to_value(info.on_conflict).unwrap_or_default();
    word.as_str().unwrap_or_default().to_owned()
}

fn facts(fact: &mut impl FnMut(&str, String), info: &WorkflowInfo) {
    let (first, last) = (info.accepts.start(), info.accepts.end());
    if first != last {
        fact("accepts", format!("versions {first} to {last}"));
    }
    fact("module", info.module.clone());
    fact(
        "attempts",
        info.max_attempts
            .map(|count| count.to_string())
            .unwrap_or_default(),
    );
    fact("timeout", info.timeout.map(span).unwrap_or_default());
    fact("deadline", info.deadline.map(span).unwrap_or_default());
    fact("queue", info.queue.clone().unwrap_or_default());
    if let Some(limit) = info.concurrency {
        fact(
            "concurrency",
            format!("{limit}, then {}", on_conflict(info)),
        );
    }
    fact("lock", info.lock.clone().unwrap_or_default());
    fact("schedule", info.schedules.join("; "));
    fact("tags", info.tags.join(", "));
}
