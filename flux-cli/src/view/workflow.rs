//! A workflow: a row of `workflow list`, and its JSON.

use std::collections::BTreeMap;

use anstyle::AnsiColor;
use flux_core::{Status, WorkflowInfo};
use serde::Serialize;

use crate::output::{Cell, Column, Output, Row};

/// One workflow, as it is shown.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct WorkflowView {
    pub(crate) name: String,
    /// Whether this program has its code.
    pub(crate) is_here: bool,
    /// How many living workers serve it.
    pub(crate) served_by: usize,
    /// How many executions there are, by status.
    pub(crate) executions: BTreeMap<&'static str, u64>,
    /// What its programs say of each version, newest first.
    pub(crate) versions: Vec<WorkflowInfo>,
}

impl WorkflowView {
    fn count(&self, status: Status) -> u64 {
        self.executions.get(status.as_str()).copied().unwrap_or(0)
    }

    /// The newest version that is known.
    pub(crate) fn newest(&self) -> Option<&WorkflowInfo> {
        self.versions.first()
    }
}

impl Row for WorkflowView {
    const COLUMNS: &'static [Column] = &[
        Column::new("NAME"),
        Column::new("VERSION").number(),
        Column::new("HERE"),
        Column::new("WORKERS").number(),
        Column::new("PENDING").number(),
        Column::new("RUNNING").number(),
        Column::new("PAUSED").number(),
        Column::new("COMPLETED").number(),
        Column::new("FAILED").number(),
        Column::new("ALL").number(),
        Column::new("QUEUE").wide(),
        Column::new("SCHEDULE").wide(),
        Column::new("TAGS").wide(),
    ];

    fn id(&self) -> String {
        self.name.clone()
    }

    fn cells(&self, _: &Output) -> Vec<Cell> {
        let newest = self.newest();
        let count = |status| Cell::from(self.count(status).to_string());
        let failed = self.count(Status::Failed);
        let failed = if failed == 0 {
            Cell::from("0")
        } else {
            Cell::styled(failed.to_string(), AnsiColor::Red.on_default())
        };
        let all: u64 = self.executions.values().sum();
        vec![
            Cell::from(self.name.as_str()),
            Cell::from(
                newest
                    .map(|info| info.version.to_string())
                    .unwrap_or_default(),
            ),
            Cell::from(if self.is_here { "yes" } else { "no" }),
            Cell::from(self.served_by.to_string()),
            count(Status::Pending),
            count(Status::Running),
            count(Status::Paused),
            count(Status::Completed),
            failed,
            Cell::from(all.to_string()),
            Cell::from(
                newest
                    .and_then(|info| info.queue.clone())
                    .unwrap_or_default(),
            ),
            Cell::from(
                newest
                    .map(|info| info.schedules.join("; "))
                    .unwrap_or_default(),
            ),
            Cell::from(newest.map(|info| info.tags.join(",")).unwrap_or_default()),
        ]
    }
}
