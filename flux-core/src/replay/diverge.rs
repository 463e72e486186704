//! Where the code and the history part, and how that is told.

use crate::context::shared::{Call, Fault};
use crate::error::{Error, FailureData, FailureKind, NonDeterminism, describe_event};
use crate::event::{Event, EventKind, site_text};
use crate::id::{EventSeq, ExecutionId};
use crate::payload::{Payload, PayloadError};

use super::outline::{differing, outline, without_text};

/// Why a delivery could not be carried out. Nothing of it may be written.
#[derive(Debug, Clone)]
pub(crate) enum Stop {
    /// The code no longer matches the history.
    Diverged(Divergence),
    /// A recorded value is not of the type the code has today.
    Decode {
        event: EventSeq,
        what: String,
        error: PayloadError,
    },
}

/// The point where code and history part.
#[derive(Debug, Clone)]
pub(crate) struct Divergence {
    pub(crate) event: EventSeq,
    pub(crate) recorded: String,
    pub(crate) found: String,
    pub(crate) site: Option<String>,
    /// The code was woken by something that is not durable before this point.
    pub(crate) foreign: bool,
    /// Equal calls had to be told apart by their order alone before this point.
    pub(crate) ambiguous: bool,
    /// Nothing tells equal calls apart.
    pub(crate) undecided: bool,
}

impl Divergence {
    /// The history has a call that the code did not ask for; `instead` is one it did.
    pub(crate) fn not_asked(recorded: &Event, instead: Option<&Call>) -> Self {
        let (recorded_text, found) = match instead {
            Some(call) => both(recorded, call),
            None => (describe_recorded(recorded), "did not ask for it".to_owned()),
        };
        Self {
            event: recorded.seq,
            recorded: recorded_text,
            found,
            site: instead.map(|call| site_text(call.site)),
            foreign: false,
            ambiguous: false,
            undecided: false,
        }
    }

    /// The code asked for a call that the history does not have at this delivery.
    pub(crate) fn not_recorded(at: EventSeq, call: &Call) -> Self {
        Self {
            event: at,
            recorded: "no such call after it".to_owned(),
            found: asked_for(call),
            site: Some(site_text(call.site)),
            foreign: false,
            ambiguous: false,
            undecided: false,
        }
    }

    /// The same, told by the event that the history has where the code asked for something else.
    pub(crate) fn instead_of(self, recorded: &Event) -> Self {
        Self {
            event: recorded.seq,
            recorded: describe_recorded(recorded),
            ..self
        }
    }

    /// The history answers a call that the code never made.
    pub(crate) fn nobody_waits(arrival: &Event) -> Self {
        Self::plain(arrival, "made no call that this could answer")
    }

    /// The history drops a call that the code still holds, or the other way round.
    pub(crate) fn not_dropped(recorded: &Event) -> Self {
        Self::plain(recorded, "still holds that call")
    }

    pub(crate) fn dropped(at: EventSeq, call: EventSeq) -> Self {
        Self {
            event: at,
            recorded: format!("no cancellation of call {call} after it"),
            found: format!("dropped call {call} there"),
            site: None,
            foreign: false,
            ambiguous: false,
            undecided: false,
        }
    }

    /// The code asks for equal calls, in another order and from other lines than those that are recorded.
    pub(crate) fn undecided(recorded: &Event, call: Option<&Call>) -> Self {
        Self {
            site: call.map(|call| site_text(call.site)),
            undecided: true,
            ..Self::plain(
                recorded,
                "asks for several that are equal, in another order and from other lines",
            )
        }
    }

    pub(crate) fn plain(event: &Event, found: &str) -> Self {
        Self {
            event: event.seq,
            recorded: describe_recorded(event),
            found: found.to_owned(),
            site: None,
            foreign: false,
            ambiguous: false,
            undecided: false,
        }
    }
}

impl Divergence {
    /// What else may be the reason.
    fn note(&self) -> Option<String> {
        if self.undecided {
            return Some(UNDECIDED.to_owned());
        }
        let reason = match (self.foreign, self.ambiguous) {
            (true, _) => FOREIGN,
            (false, true) => AMBIGUOUS,
            (false, false) => return None,
        };
        Some(reason.to_owned())
    }
}

impl Stop {
    /// What a fault of the code means at `delivery`.
    pub(crate) fn from_fault(fault: Fault, delivery: EventSeq) -> Self {
        match fault {
            Fault::Decode { event, what, error } => Self::Decode { event, what, error },
            Fault::Value { kind, name, site } => Self::Diverged(Divergence {
                event: delivery,
                recorded: "no such value after it".to_owned(),
                found: format!("asked for {}", describe_event(kind, &name)),
                site: Some(site_text(site)),
                foreign: false,
                ambiguous: false,
                undecided: false,
            }),
        }
    }

    /// The error a caller gets.
    pub(crate) fn into_error(self, id: &ExecutionId, workflow: &str) -> Error {
        match self {
            Self::Diverged(divergence) => NonDeterminism {
                note: divergence.note(),
                id: id.clone(),
                workflow: workflow.to_owned(),
                event: divergence.event,
                recorded: divergence.recorded,
                found: divergence.found,
                site: divergence.site,
            }
            .into(),
            Self::Decode { event, what, error } => Error::ReplayDecode {
                id: id.clone(),
                event,
                what,
                path: error.path,
                message: without_text(&error.message),
            },
        }
    }
}

const UNDECIDED: &str = "which of them is which cannot be told: keep equal calls in the order in which they stand in the file, or \
                         give them different inputs or, with `.named(..)`, different names";

const AMBIGUOUS: &str =
    "an unbiased `select!` in a helper function may be the reason: put `#[flux::durable]` on it";

const FOREIGN: &str = "this workflow awaits something that is not durable (a timer of `tokio`, a socket, a spawned \
                       task) and that may be the reason: do it in a task or a `flux::step`";

fn describe_recorded(event: &Event) -> String {
    let what = describe_event(event.kind, event.name_str());
    if let Some(came_to) = describe_end(event) {
        return format!("{what} with {came_to}");
    }
    match &event.payload {
        Some(payload) if event.kind.is_call() && payload.as_str() != "null" => {
            format!("{what} with input `{}`", input_of(event.kind, payload))
        }
        _ => what,
    }
}

/// What an end came to.
fn describe_end(event: &Event) -> Option<String> {
    let payload = event.payload.as_ref()?;
    match event.kind {
        EventKind::WorkflowCompleted if payload.as_str() != "null" => {
            Some(format!("output `{}`", outline(payload)))
        }
        EventKind::WorkflowFailed => {
            let failure: FailureData = payload.decode().ok()?;
            let how = match failure.kind {
                FailureKind::Panicked => "panic",
                _ => "error",
            };
            Some(format!("{how} {}", clip(&failure.error.message)))
        }
        _ => None,
    }
}

/// A recorded call and one that the code asked for: of one name, what differs about their inputs.
fn both(recorded: &Event, call: &Call) -> (String, String) {
    let is_same = recorded.kind == call.kind && recorded.name_str() == &*call.name;
    match (&recorded.payload, &call.input) {
        (Some(one), Some(other)) if is_same => {
            let (one, other) = match call.kind {
                EventKind::TimerStarted => (input_of(call.kind, one), input_of(call.kind, other)),
                _ => differing(one, other),
            };
            let recorded = describe_event(recorded.kind, recorded.name_str());
            (
                format!("{recorded} with input `{one}`"),
                format!("{} with input `{other}`", asked_for_plainly(call)),
            )
        }
        _ => (describe_recorded(recorded), asked_for(call)),
    }
}

fn asked_for(call: &Call) -> String {
    let input = call.input.as_ref().filter(|input| input.as_str() != "null");
    let input = input
        .map(|input| format!(" with input `{}`", input_of(call.kind, input)))
        .unwrap_or_default();
    asked_for_plainly(call) + &input
}

/// Of a timer it is what the program says, and nobody's data.
fn input_of(kind: EventKind, input: &Payload) -> String {
    match kind {
        EventKind::TimerStarted => shorten(input.as_str()),
        _ => outline(input),
    }
}

fn asked_for_plainly(call: &Call) -> String {
    let what = match call.kind {
        EventKind::TaskStarted => "task",
        EventKind::TimerStarted => "timer",
        EventKind::SignalAwaited => "signal",
        EventKind::CancelAwaited => "notice of a cancellation",
        EventKind::PauseReached => "pause point",
        EventKind::ChildStarted => "child workflow",
        _ => "call",
    };
    format!("asked for {what} `{}`", call.name)
}

fn clip(text: &str) -> String {
    format!("`{}`", shorten(text))
}

/// Long messages are cut: the point of an error is to find the line.
pub(super) fn shorten(text: &str) -> String {
    const LIMIT: usize = 200;
    match text.char_indices().nth(LIMIT) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}
