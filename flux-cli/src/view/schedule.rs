//! A schedule: a row of `schedule list`, and its JSON.

use std::time::SystemTime;

use anstyle::{AnsiColor, Style};
use flux_core::{Payload, Schedule};
use serde::Serialize;
use serde_json::Value;

use super::{iso, maybe_iso};
use crate::output::{Cell, Column, Output, Row};

/// One schedule, as it is shown.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct ScheduleView {
    id: String,
    workflow: String,
    /// As one writes it: `0 9 * * 1 America/New_York`, `@every 5m`.
    when: String,
    is_paused: bool,
    #[serde(serialize_with = "maybe_iso")]
    next_at: Option<SystemTime>,
    #[serde(serialize_with = "maybe_iso")]
    last_at: Option<SystemTime>,
    overlap: Value,
    catch_up: Value,
    input: Payload,
}

impl ScheduleView {
    pub(crate) fn of(schedule: &Schedule) -> Self {
        let word = |value: Result<Value, _>| value.unwrap_or_default();
        Self {
            id: schedule.id().to_owned(),
            workflow: schedule.workflow().to_owned(),
            when: schedule.when(),
            is_paused: schedule.is_paused(),
            next_at: schedule.next_at(),
            last_at: schedule.last_at(),
            overlap: word(serde_json::to_value(schedule.overlap())),
            catch_up: word(serde_json::to_value(schedule.catch_up())),
            input: schedule.input().clone(),
        }
    }
}

impl Row for ScheduleView {
    const COLUMNS: &'static [Column] = &[
        Column::new("NAME"),
        Column::new("WORKFLOW"),
        Column::new("WHEN"),
        Column::new("STATE"),
        Column::new("NEXT"),
        Column::new("LAST"),
        Column::new("OVERLAP").wide(),
        Column::new("CATCH-UP").wide(),
        Column::new("INPUT").wide().wraps(),
    ];

    fn id(&self) -> String {
        self.id.clone()
    }

    fn cells(&self, output: &Output) -> Vec<Cell> {
        let (state, style) = if self.is_paused {
            ("paused", AnsiColor::Yellow.on_default())
        } else {
            ("active", Style::new())
        };
        vec![
            Cell::from(self.id.as_str()),
            Cell::from(self.workflow.as_str()),
            Cell::from(self.when.as_str()),
            Cell::styled(state, style),
            Cell::from(output.maybe_moment(self.next_at.filter(|_| !self.is_paused))),
            Cell::from(output.maybe_moment(self.last_at)),
            Cell::from(self.overlap.as_str().unwrap_or_default()),
            Cell::from(self.catch_up.as_str().unwrap_or_default()),
            Cell::from(self.input.as_str()),
        ]
    }
}

/// One moment of a schedule.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct MomentView {
    schedule: String,
    #[serde(serialize_with = "iso")]
    at: SystemTime,
}

impl MomentView {
    pub(crate) fn new(schedule: &str, at: SystemTime) -> Self {
        Self {
            schedule: schedule.to_owned(),
            at,
        }
    }
}

impl Row for MomentView {
    const COLUMNS: &'static [Column] = &[Column::new("AT"), Column::new("")];

    fn id(&self) -> String {
        flux_core::clock::Timestamp::from(self.at).to_string()
    }

    fn cells(&self, output: &Output) -> Vec<Cell> {
        use crate::output::TimeStyle;
        // A preview of spans alone would not tell the hour.
        let (at, far) = match output.time {
            TimeStyle::Relative => (TimeStyle::Iso, output.moment(self.at)),
            style => (style, String::new()),
        };
        vec![Cell::from(at.show(self.at, output.now)), Cell::from(far)]
    }
}
