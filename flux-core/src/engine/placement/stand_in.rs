//! Workflows whose code is elsewhere: started and scheduled here, run by the workers of other programs.
//!
//! Whatever creates an execution goes by a [`WorkflowDef`]: its version, its queue, its limits. For a workflow without
//! code here a stand-in is made of what the catalog says of it, so that the same limits are obeyed by the same code. A
//! stand-in is never driven: what is started with one waits for a worker, and its input is taken as it is.

use std::collections::BTreeMap;
use std::sync::Mutex;

use crate::catalog::WorkflowInfo;
use crate::context::RawContext;
use crate::engine::kernel::Kernel;
use crate::engine::kernel::refuse::invalid;
use crate::error::Error;
use crate::names::check_name;
use crate::payload::PayloadError;
use crate::store::{Filter, WorkflowDescription};
use crate::sync::lock;
use crate::workflow::{WorkflowDef, WorkflowFuture, WorkflowOptions};

/// A workflow that somebody names in one way or the other.
#[derive(Debug, Clone)]
pub(crate) enum Named {
    /// By its code.
    Code(&'static WorkflowDef),
    /// By its name; the code may be elsewhere.
    Name(String),
}

impl Named {
    pub(crate) fn name(&self) -> &str {
        match self {
            Self::Code(def) => def.name,
            Self::Name(name) => name,
        }
    }
}

/// What a workflow is started by that a worker is to run: what the catalog says of it, else what is registered here,
/// else what the executions there are can tell.
pub(crate) async fn elsewhere(kernel: &Kernel, name: &str) -> Result<&'static WorkflowDef, Error> {
    check_name("name of a workflow", Some(name))?;
    if let Some(info) = described(kernel, name).await? {
        return Ok(stand_in(info));
    }
    if let Ok(def) = kernel.registry.newest(name) {
        return Ok(def);
    }
    let latest = Filter {
        workflow: Some(name.into()),
        limit: 1,
        ..Filter::default()
    };
    let latest = kernel.store.executions(latest).await?.pop();
    let version = latest.map_or(1, |record| record.version);
    Ok(stand_in(WorkflowInfo::unknown(name, version)))
}

/// The newest version that is registered here, else the newest in the catalog.
pub(crate) async fn known(kernel: &Kernel, name: &str) -> Result<&'static WorkflowDef, Error> {
    if let Ok(def) = kernel.registry.newest(name) {
        return Ok(def);
    }
    if let Some(info) = described(kernel, name).await? {
        return Ok(stand_in(info));
    }
    let described = kernel.store.workflows().await?.into_iter();
    let mut described: Vec<_> = described
        .map(|workflow| workflow.name.to_string())
        .collect();
    described.dedup();
    Err(Error::WorkflowNotFound {
        name: name.to_owned(),
        available: kernel.registry.names(),
        described,
    })
}

/// What the catalog says of the newest version of a workflow.
pub(crate) async fn described(kernel: &Kernel, name: &str) -> Result<Option<WorkflowInfo>, Error> {
    let described = kernel.store.workflows().await?;
    let versions = described.iter().filter(|workflow| *workflow.name == *name);
    let newest = versions.max_by_key(|workflow| workflow.version);
    newest.map(read).transpose()
}

/// Reads what a program has described.
pub(crate) fn read(workflow: &WorkflowDescription) -> Result<WorkflowInfo, Error> {
    workflow.described.decode().map_err(|error| {
        let WorkflowDescription { name, version, .. } = workflow;
        invalid(
            format!("description of workflow `{name}` version {version} in the store"),
            error,
        )
    })
}

/// What stands for a workflow that is described and has no code here.
///
/// It is kept for the rest of the process, as definitions are, and made once for each description.
fn stand_in(info: WorkflowInfo) -> &'static WorkflowDef {
    static MADE: Mutex<BTreeMap<String, &'static WorkflowDef>> = Mutex::new(BTreeMap::new());
    let mut made = lock(&MADE);
    let key = format!("{info:?}");
    made.entry(key).or_insert_with(|| make(info))
}

fn make(info: WorkflowInfo) -> &'static WorkflowDef {
    let options = WorkflowOptions {
        timeout: info.timeout,
        deadline: info.deadline,
        max_attempts: info.max_attempts,
        restart: info.restart,
        schedules: forever_all(info.schedules),
        queue: info.queue.map(forever),
        concurrency: info.concurrency,
        on_conflict: info.on_conflict,
        lock: info.lock.map(forever),
        tags: forever_all(info.tags),
    };
    Box::leak(Box::new(WorkflowDef {
        name: forever(info.name),
        module: forever(info.module),
        version: info.version,
        accepts: info.accepts,
        options,
        run: no_code,
        reencode: |input| Ok(input.clone()),
        default_input: None,
    }))
}

fn forever(text: String) -> &'static str {
    Box::leak(text.into_boxed_str())
}

fn forever_all(texts: Vec<String>) -> &'static [&'static str] {
    Box::leak(texts.into_iter().map(forever).collect())
}

fn no_code(_: RawContext) -> Result<WorkflowFuture, PayloadError> {
    Err(PayloadError {
        path: ".".to_owned(),
        message: "this program has no code for the workflow".to_owned(),
    })
}
