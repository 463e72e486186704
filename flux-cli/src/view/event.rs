//! An event: a line of `events`, and its JSON everywhere.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::{Duration, SystemTime};

use anstyle::{AnsiColor, Style};
use flux_core::clock::Timestamp;
use flux_core::{Event, EventKind, EventSeq, ExecutionId, Payload};
use serde::Serialize;
use serde_json::Value;

use super::iso;
use crate::output::{Output, TimeStyle, paint, pretty, printable, span};

/// How wide the kinds of events are.
const KIND: usize = 19;

/// The names of calls: what happens to a call goes by its name.
#[derive(Debug, Default)]
pub(crate) struct Names(BTreeMap<EventSeq, String>);

/// One event, as it is shown.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct EventView {
    execution: String,
    seq: u32,
    #[serde(serialize_with = "iso")]
    at: SystemTime,
    kind: &'static str,
    /// Of the workflow, task, signal, pause point, value or key.
    name: Option<String>,
    /// The event that recorded the call this is about.
    call: Option<u32>,
    attempt: Option<u64>,
    /// When a timer or the next attempt is due.
    due: Option<String>,
    /// The message of an error.
    error: Option<String>,
    payload: Option<Payload>,
    #[serde(skip)]
    event: EventKind,
}

impl Names {
    /// Shows an event; events come in order.
    pub(crate) fn view(&mut self, execution: &ExecutionId, event: &Event) -> EventView {
        let own = event.name.as_deref().map(str::to_owned);
        if let Some(name) = &own {
            self.0.insert(event.seq, name.clone());
        }
        let call = event.refers.filter(|_| is_about_a_call(event.kind));
        let name = own.or_else(|| call.and_then(|call| self.0.get(&call).cloned()));
        let meta = event.meta.as_ref().and_then(json).unwrap_or_default();
        let due = meta.get("due").and_then(Value::as_i64);
        EventView {
            execution: execution.to_string(),
            seq: event.seq.get(),
            at: event.at.into(),
            kind: event.kind.as_str(),
            name,
            call: call.map(EventSeq::get),
            attempt: meta
                .get("attempt")
                .and_then(Value::as_u64)
                .filter(|attempt| *attempt > 0),
            due: due.map(|due| Timestamp::from_micros(due).to_string()),
            error: event
                .payload
                .as_ref()
                .and_then(|payload| error(event.kind, payload)),
            payload: event.payload.clone(),
            event: event.kind,
        }
    }
}

/// A call's own event refers to the delivery that made the code ask for it.
fn is_about_a_call(kind: EventKind) -> bool {
    !matches!(
        kind,
        EventKind::TaskStarted
            | EventKind::TimerStarted
            | EventKind::SignalAwaited
            | EventKind::CancelAwaited
            | EventKind::PauseReached
            | EventKind::ChildStarted
            | EventKind::ValueRecorded
            | EventKind::Patched
            | EventKind::Published
            | EventKind::ExitStarted
            | EventKind::WorkflowCompleted
            | EventKind::WorkflowFailed
    )
}

fn json(payload: &Payload) -> Option<Value> {
    payload.decode().ok()
}

fn error(kind: EventKind, payload: &Payload) -> Option<String> {
    match kind {
        EventKind::TaskAttemptFailed
        | EventKind::TaskFailed
        | EventKind::ChildFailed
        | EventKind::WorkflowFailed => {
            let value = json(payload)?;
            let message = value.get("error")?.get("message")?.as_str()?;
            Some(message.to_owned())
        }
        EventKind::WorkflowTerminated => json(payload)?.as_str().map(str::to_owned),
        _ => None,
    }
}

impl EventView {
    pub(crate) fn seq(&self) -> u32 {
        self.seq
    }

    /// One line: when, what, of what, and what matters about it.
    pub(crate) fn line(&self, output: &Output, began: Option<SystemTime>, width: usize) -> String {
        let when = match (output.time, began) {
            (TimeStyle::Relative, Some(began)) => {
                let since = self.at.duration_since(began).unwrap_or_default();
                format!("{:>8}", format!("+{}", span(since)))
            }
            _ => output.moment(self.at),
        };
        let seq = format!("{:>width$}", self.seq);
        let kind = paint(style(self.event), self.kind);
        let rest = " ".repeat(KIND.saturating_sub(self.kind.len()));
        let mut line = format!("{seq}  {when}  {kind}{rest}");
        if let Some(name) = &self.name {
            let _ = write!(line, "  {}", printable(name));
        }
        if let Some(attempt) = self.attempt.filter(|_| self.shows_attempt()) {
            let _ = write!(line, "  attempt {attempt}");
        }
        if let Some(error) = &self.error {
            let _ = write!(
                line,
                "  {}",
                paint(AnsiColor::Red.on_default(), printable(error))
            );
        }
        if let Some(due) = &self.due {
            let word = match self.event {
                EventKind::TimerStarted => "until",
                EventKind::WorkflowQueued => "not before",
                _ => "next at",
            };
            let _ = write!(line, "  {word} {due}");
        }
        line.trim_end().to_owned()
    }

    fn shows_attempt(&self) -> bool {
        matches!(
            self.event,
            EventKind::TaskAttemptFailed
                | EventKind::TaskFailed
                | EventKind::TaskInterrupted
                | EventKind::Rewound
        )
    }

    /// Its value as lines of JSON, indented.
    pub(crate) fn value(&self, indent: usize) -> Option<String> {
        let mut value = self.payload.as_ref().and_then(json)?;
        if value.is_null() {
            return None;
        }
        if self.event == EventKind::TimerStarted {
            tell_time(&mut value);
        }
        let text = pretty(&value);
        let margin = " ".repeat(indent);
        let mut indented = String::new();
        for line in text.lines() {
            let _ = writeln!(indented, "{margin}{line}");
        }
        Some(indented)
    }

    /// The word that introduces its value.
    pub(crate) fn value_word(&self) -> &'static str {
        match self.event {
            EventKind::WorkflowStarted
            | EventKind::WorkflowQueued
            | EventKind::ContinuedAsNew
            | EventKind::TaskStarted
            | EventKind::ChildStarted => "Input",
            EventKind::TaskAttemptFailed
            | EventKind::TaskFailed
            | EventKind::ChildFailed
            | EventKind::WorkflowFailed => "Error",
            EventKind::WorkflowTerminated => "Reason",
            EventKind::TimerStarted => "Timer",
            EventKind::SignalReceived
            | EventKind::PauseAnswered
            | EventKind::ValueRecorded
            | EventKind::Published => "Value",
            _ => "Result",
        }
    }

    /// What else than an activity it is about, as a word and a name: `Signal` and `paid`.
    pub(crate) fn subject(&self) -> Option<(&'static str, String)> {
        let word = match self.event {
            EventKind::SignalAwaited | EventKind::SignalReceived => "Signal",
            EventKind::PauseReached | EventKind::PauseAnswered => "Pause point",
            EventKind::Published => "Key",
            EventKind::ValueRecorded | EventKind::Patched => "Name",
            EventKind::CallCancelled | EventKind::CallReused | EventKind::TimerFired => {
                let call = self.call?.to_string();
                let name = self
                    .name
                    .as_deref()
                    .map(|name| format!(".{}", printable(name)));
                return Some(("Call", call + &name.unwrap_or_default()));
            }
            _ => return None,
        };
        let name = self.name.as_deref()?;
        Some((word, printable(name).into_owned()))
    }

    /// When a timer or the next attempt is due, as a word and a moment.
    pub(crate) fn due(&self) -> Option<(&'static str, &str)> {
        let word = match self.event {
            EventKind::TaskAttemptFailed => "Next attempt",
            EventKind::WorkflowQueued => "Not before",
            _ => "Due",
        };
        self.due.as_deref().map(|due| (word, due))
    }

    /// `workflow/7.charge`: which activity it is about.
    pub(crate) fn activity(&self, workflow: &str) -> Option<String> {
        let is_task = matches!(
            self.event,
            EventKind::TaskStarted
                | EventKind::TaskCompleted
                | EventKind::TaskFailed
                | EventKind::TaskAttemptFailed
                | EventKind::TaskInterrupted
                | EventKind::TaskDeferred
                | EventKind::TaskDiscarded
                | EventKind::ChildStarted
                | EventKind::ChildCompleted
                | EventKind::ChildFailed
        );
        let name = self.name.as_deref().filter(|_| is_task)?;
        let call = self.call.unwrap_or(self.seq);
        Some(format!("{workflow}/{call}.{name}"))
    }

    pub(crate) fn at(&self) -> SystemTime {
        self.at
    }

    pub(crate) fn kind(&self) -> &'static str {
        self.kind
    }
}

/// A timer is recorded in microseconds, which nobody reads.
fn tell_time(timer: &mut Value) {
    if let Some(after) = timer.get_mut("after")
        && let Some(micros) = after.as_u64()
    {
        let span = humantime::format_duration(Duration::from_micros(micros));
        *after = span.to_string().into();
    }
    if let Some(until) = timer.get_mut("until")
        && let Some(micros) = until.as_i64()
    {
        *until = Timestamp::from_micros(micros).to_string().into();
    }
}

fn style(kind: EventKind) -> Style {
    match kind {
        EventKind::TaskCompleted
        | EventKind::ChildCompleted
        | EventKind::WorkflowCompleted
        | EventKind::CallReused => AnsiColor::Green.on_default(),
        EventKind::TaskFailed
        | EventKind::TaskAttemptFailed
        | EventKind::ChildFailed
        | EventKind::WorkflowFailed => AnsiColor::Red.on_default(),
        EventKind::PauseReached | EventKind::SignalAwaited | EventKind::TaskInterrupted => {
            AnsiColor::Yellow.on_default()
        }
        EventKind::WorkflowCancelled
        | EventKind::WorkflowTerminated
        | EventKind::CallCancelled
        | EventKind::CancelRequested => AnsiColor::Magenta.on_default(),
        _ => Style::new(),
    }
}
