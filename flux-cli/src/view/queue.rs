//! A queue: a row of `queue list`, and its JSON.

use anstyle::{AnsiColor, Style};
use flux_core::store::{QueueRecord, Rate};
use serde::Serialize;

use crate::output::{Cell, Column, Output, Row};

/// One queue, as it is shown.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct QueueView {
    name: String,
    pending: u64,
    running: u64,
    is_paused: bool,
    concurrency: Option<u32>,
    per_worker: Option<u32>,
    /// As one writes it, `100/1m`.
    rate: Option<String>,
    partition_by: Option<String>,
}

impl QueueView {
    pub(crate) fn of(queue: &QueueRecord) -> Self {
        let settings = &queue.settings;
        Self {
            name: queue.name.to_string(),
            pending: queue.pending,
            running: queue.running,
            is_paused: settings.is_paused,
            concurrency: settings.concurrency,
            per_worker: settings.per_worker,
            rate: settings.rate.map(rate),
            partition_by: settings.partition_by.as_deref().map(str::to_owned),
        }
    }
}

fn rate(rate: Rate) -> String {
    let per = humantime::format_duration(rate.per)
        .to_string()
        .replace(' ', "");
    format!("{}/{per}", rate.count)
}

impl Row for QueueView {
    const COLUMNS: &'static [Column] = &[
        Column::new("NAME"),
        Column::new("STATE"),
        Column::new("PENDING").number(),
        Column::new("RUNNING").number(),
        Column::new("CONCURRENCY").number(),
        Column::new("PER-WORKER").number(),
        Column::new("RATE"),
        Column::new("PARTITIONS"),
    ];

    fn id(&self) -> String {
        self.name.clone()
    }

    fn cells(&self, _: &Output) -> Vec<Cell> {
        let (state, style) = if self.is_paused {
            ("paused", AnsiColor::Yellow.on_default())
        } else {
            ("active", Style::new())
        };
        let limit =
            |limit: Option<u32>| limit.map_or_else(|| "-".to_owned(), |limit| limit.to_string());
        vec![
            Cell::from(self.name.as_str()),
            Cell::styled(state, style),
            Cell::from(self.pending.to_string()),
            Cell::from(self.running.to_string()),
            Cell::from(limit(self.concurrency)),
            Cell::from(limit(self.per_worker)),
            Cell::from(self.rate.as_deref().unwrap_or("-")),
            Cell::from(self.partition_by.as_deref().unwrap_or("-")),
        ]
    }
}
