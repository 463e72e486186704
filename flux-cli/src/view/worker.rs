//! A worker: a row of `worker list`, and its JSON.

use std::time::SystemTime;

use anstyle::AnsiColor;
use flux_core::store::WorkerRecord;
use serde::Serialize;

use super::iso;
use crate::output::{Cell, Column, Output, Row};

/// One owner of executions, as it is shown.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct WorkerView {
    id: i64,
    pid: u32,
    host: String,
    is_alive: bool,
    #[serde(serialize_with = "iso")]
    started_at: SystemTime,
    /// How many executions it owns.
    owns: u64,
    /// Whether it takes what is ready; otherwise it only drives what it starts itself.
    is_serving: bool,
    workflows: Vec<String>,
    /// Null where it serves all queues.
    queues: Option<Vec<String>>,
    concurrency: Option<u32>,
}

impl WorkerView {
    pub(crate) fn of(worker: &WorkerRecord) -> Self {
        let serves = worker.serves.as_ref();
        let mut workflows: Vec<String> = serves
            .map(|serves| {
                serves
                    .code
                    .iter()
                    .map(|code| code.workflow.to_string())
                    .collect()
            })
            .unwrap_or_default();
        workflows.dedup();
        let queues = serves.and_then(|serves| serves.queues.as_ref());
        Self {
            id: worker.id.0,
            pid: worker.pid,
            host: worker.host.clone(),
            is_alive: worker.is_alive,
            started_at: worker.started_at.into(),
            owns: worker.owns,
            is_serving: serves.is_some(),
            workflows,
            queues: queues.map(|queues| queues.iter().map(ToString::to_string).collect()),
            concurrency: serves.map(|serves| serves.concurrency),
        }
    }
}

impl Row for WorkerView {
    const COLUMNS: &'static [Column] = &[
        Column::new("ID").number(),
        Column::new("PROCESS"),
        Column::new("STATE"),
        Column::new("STARTED"),
        Column::new("OWNS").number(),
        Column::new("QUEUES"),
        Column::new("CONCURRENCY").wide().number(),
        Column::new("WORKFLOWS").wraps(),
    ];

    fn id(&self) -> String {
        self.id.to_string()
    }

    fn cells(&self, output: &Output) -> Vec<Cell> {
        let (state, color) = match (self.is_alive, self.is_serving) {
            (false, _) => ("dead", AnsiColor::Red),
            (true, true) => ("serving", AnsiColor::Green),
            (true, false) => ("open", AnsiColor::Cyan),
        };
        let queues = match &self.queues {
            None if self.is_serving => "all".to_owned(),
            None => "-".to_owned(),
            Some(queues) => queues.join(","),
        };
        vec![
            Cell::from(self.id.to_string()),
            Cell::from(format!("{} on {}", self.pid, self.host)),
            Cell::styled(state, color.on_default()),
            Cell::from(output.moment(self.started_at)),
            Cell::from(self.owns.to_string()),
            Cell::from(queues),
            Cell::from(
                self.concurrency
                    .map(|count| count.to_string())
                    .unwrap_or_default(),
            ),
            Cell::from(self.workflows.join(",")),
        ]
    }
}
