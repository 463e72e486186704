//! Name and version to workflow: what this program can run.

use std::collections::BTreeMap;

use crate::error::Error;
use crate::id::ExecutionId;
use crate::store::{ExecutionRecord, Runnable};
use crate::task::{States, TaskDef};
use crate::workflow::WorkflowDef;

/// A `#[task]`, registered where it stands.
#[derive(Debug)]
pub struct TaskEntry(pub &'static TaskDef);

/// A `#[workflow]`, registered where it stands.
#[derive(Debug)]
pub struct WorkflowEntry(pub &'static WorkflowDef);

inventory::collect!(TaskEntry);
inventory::collect!(WorkflowEntry);

/// The workflows of an engine.
#[derive(Debug, Default)]
pub(crate) struct Registry {
    workflows: BTreeMap<&'static str, BTreeMap<u32, &'static WorkflowDef>>,
}

impl Registry {
    /// Everything that registered itself, and what was registered by hand.
    pub(crate) fn collect(by_hand: &[&'static WorkflowDef]) -> Result<Self, Error> {
        let mut registry = Self::default();
        let own = inventory::iter::<WorkflowEntry>
            .into_iter()
            .map(|entry| entry.0);
        own.chain(by_hand.iter().copied())
            .try_for_each(|def| registry.add(def))?;
        Ok(registry)
    }

    fn add(&mut self, def: &'static WorkflowDef) -> Result<(), Error> {
        let versions = self.workflows.entry(def.name).or_default();
        match versions.insert(def.version, def) {
            Some(other) if !std::ptr::eq(other, def) => Err(Error::DuplicateWorkflow {
                name: def.name.to_owned(),
                version: def.version,
                first: other.module.to_owned(),
                second: def.module.to_owned(),
            }),
            _ => Ok(()),
        }
    }

    /// The names of all workflows.
    pub(crate) fn names(&self) -> Vec<String> {
        self.workflows
            .keys()
            .map(|name| (*name).to_owned())
            .collect()
    }

    /// The newest version of every workflow.
    pub(crate) fn all_newest(&self) -> Vec<&'static WorkflowDef> {
        let newest = self
            .workflows
            .values()
            .filter_map(|versions| versions.values().next_back());
        newest.copied().collect()
    }

    /// All versions of all workflows, by name.
    pub(crate) fn all(&self) -> impl Iterator<Item = &'static WorkflowDef> {
        self.workflows.values().flat_map(BTreeMap::values).copied()
    }

    /// What there is code for.
    pub(crate) fn runnables(&self) -> Vec<Runnable> {
        let runnable = |def: &'static WorkflowDef| Runnable {
            workflow: def.name.into(),
            versions: def.accepts.clone(),
        };
        self.all().map(runnable).collect()
    }

    /// The newest version of a workflow.
    pub(crate) fn newest(&self, name: &str) -> Result<&'static WorkflowDef, Error> {
        let newest = self
            .workflows
            .get(name)
            .and_then(|versions| versions.values().next_back());
        newest.copied().ok_or_else(|| Error::WorkflowNotFound {
            name: name.to_owned(),
            available: self.names(),
            described: Vec::new(),
        })
    }

    /// The code that continues an execution: the version it was begun with, else one that accepts it.
    /// `preferred` is the workflow value the caller used, registered or not.
    pub(crate) fn for_execution(
        &self,
        record: &ExecutionRecord,
        preferred: Option<&'static WorkflowDef>,
    ) -> Result<&'static WorkflowDef, Error> {
        let registered = self.workflows.get(&*record.workflow);
        let exact = registered
            .and_then(|versions| versions.get(&record.version))
            .copied();
        let mut known = preferred.into_iter().chain(
            registered
                .into_iter()
                .flat_map(|v| v.values().rev().copied()),
        );
        if let Some(def) = preferred
            .filter(|def| def.version == record.version)
            .or(exact)
        {
            return Ok(def);
        }
        if let Some(def) = known.find(|def| def.accepts.contains(&record.version)) {
            return Ok(def);
        }
        let available: Vec<String> = preferred
            .into_iter()
            .chain(
                registered
                    .into_iter()
                    .flat_map(|versions| versions.values().copied()),
            )
            .map(|def| def.version.to_string())
            .collect();
        if available.is_empty() {
            return Err(Error::WorkflowNotFound {
                name: record.workflow.to_string(),
                available: self.names(),
                described: Vec::new(),
            });
        }
        Err(version_mismatch(&record.id, record, available))
    }

    /// Whether the engine has all state that registered tasks need.
    pub(crate) fn check_states(states: &States) -> Result<(), Error> {
        for entry in inventory::iter::<TaskEntry> {
            if let Some(missing) = entry.0.states.iter().find(|need| !need.is_met(states)) {
                return Err(Error::MissingState {
                    task: entry.0.name.to_owned(),
                    state: missing.name().to_owned(),
                });
            }
        }
        Ok(())
    }
}

fn version_mismatch(
    id: &ExecutionId,
    record: &ExecutionRecord,
    mut available: Vec<String>,
) -> Error {
    available.dedup();
    Error::VersionMismatch {
        id: id.clone(),
        workflow: record.workflow.to_string(),
        recorded: record.version,
        available,
    }
}

/// The error of an id that belongs to another workflow.
pub(crate) fn check_workflow(def: &WorkflowDef, record: &ExecutionRecord) -> Result<(), Error> {
    if *record.workflow == *def.name {
        return Ok(());
    }
    Err(Error::WorkflowMismatch {
        id: record.id.clone(),
        expected: def.name.to_owned(),
        found: record.workflow.to_string(),
    })
}
