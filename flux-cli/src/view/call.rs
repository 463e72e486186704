//! A call: a row of what happened in `show`, and its JSON.

use std::time::{Duration, SystemTime};

use anstyle::{AnsiColor, Style};
use flux_core::{CallInfo, CallKind, CallStatus, Payload};
use serde::Serialize;

use super::{iso, maybe_iso, millis};
use crate::output::{Cell, Column, Output, Row, span};

/// One call of an execution, as it is shown.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct CallView {
    call: u32,
    kind: CallKind,
    name: String,
    status: String,
    attempts: u32,
    #[serde(serialize_with = "iso")]
    started_at: SystemTime,
    #[serde(serialize_with = "maybe_iso")]
    finished_at: Option<SystemTime>,
    duration_ms: Option<u64>,
    /// When the timer fires, or the next attempt begins.
    #[serde(serialize_with = "maybe_iso")]
    due: Option<SystemTime>,
    /// The execution that a call of a workflow started.
    child: Option<String>,
    /// The call that this one undoes.
    undoes: Option<u32>,
    error: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    input: Option<Payload>,
    #[serde(skip_serializing_if = "Option::is_none")]
    output: Option<Payload>,
    #[serde(skip)]
    offset: Duration,
    #[serde(skip)]
    took: Option<Duration>,
    #[serde(skip)]
    style: Style,
    #[serde(skip)]
    bar: String,
}

impl CallView {
    /// Shows a call of an execution that began at `began`; `bar` is its part of the timeline.
    pub(crate) fn of(call: &CallInfo, began: SystemTime, bar: String, with_values: bool) -> Self {
        let value = |value: Option<&Payload>| value.filter(|_| with_values).cloned();
        Self {
            call: call.call().get(),
            kind: call.kind(),
            name: call.name().to_owned(),
            status: call.status().to_string(),
            attempts: call.attempts(),
            started_at: call.started_at(),
            finished_at: call.finished_at(),
            duration_ms: call.duration().map(millis),
            due: call.due(),
            child: call.child().map(ToString::to_string),
            undoes: call.undoes().map(flux_core::EventSeq::get),
            error: call.last_error().map(str::to_owned),
            input: value(call.input()),
            output: value(call.output()),
            offset: call.started_at().duration_since(began).unwrap_or_default(),
            took: call.duration(),
            style: style(call.status()),
            bar,
        }
    }

    fn label(&self) -> String {
        let label = match self.kind {
            CallKind::Task => self.name.clone(),
            CallKind::Timer => "timer".to_owned(),
            kind => format!("{} {}", kind.as_str().to_lowercase(), self.name),
        };
        if self.undoes.is_some() {
            format!("{label} (undo)")
        } else {
            label
        }
    }
}

fn style(status: CallStatus) -> Style {
    match status {
        CallStatus::Completed => AnsiColor::Green.on_default(),
        CallStatus::Failed => AnsiColor::Red.on_default(),
        CallStatus::Running => AnsiColor::Blue.on_default(),
        CallStatus::Retrying | CallStatus::Waiting => AnsiColor::Yellow.on_default(),
        _ => AnsiColor::Magenta.on_default(),
    }
}

impl Row for CallView {
    const COLUMNS: &'static [Column] = &[
        Column::new("CALL"),
        Column::new("STATUS"),
        Column::new("ATTEMPTS").number(),
        Column::new("START").number(),
        Column::new("TOOK").number(),
        Column::new("TIMELINE").yields(),
        Column::new("EVENT").wide().number(),
        Column::new("CHILD").wide(),
        Column::new("ERROR").wraps(),
    ];

    fn id(&self) -> String {
        self.call.to_string()
    }

    fn cells(&self, _: &Output) -> Vec<Cell> {
        let attempts = match self.attempts {
            0 => String::new(),
            attempts => attempts.to_string(),
        };
        vec![
            Cell::from(self.label()),
            Cell::styled(self.status.as_str(), self.style),
            Cell::from(attempts),
            Cell::from(format!("+{}", span(self.offset))),
            Cell::from(self.took.map(span).unwrap_or_default()),
            Cell::styled(self.bar.as_str(), self.style),
            Cell::from(self.call.to_string()),
            Cell::from(self.child.as_deref().unwrap_or_default()),
            Cell::from(self.error.as_deref().unwrap_or_default()),
        ]
    }
}
