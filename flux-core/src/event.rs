//! What is written down. The wire format of a history lives here and nowhere else.

use std::fmt;
use std::panic::Location;
use std::sync::Arc;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;
use crate::id::{EventSeq, ExecutionId};
use crate::payload::Payload;
use crate::policy::ChildPolicy;

/// The version of this format, kept with every execution; a later engine reads all earlier ones.
pub const FORMAT: u32 = 1;

/// One row of a history, in the shape it is stored in.
///
/// What matching needs (kind, name, payload) stands in fields of its own; what only a reader or an
/// error message needs stands in `meta`, which a replay does not decode.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// Its number, from 1, without gaps.
    pub seq: EventSeq,
    /// When it was delivered or asked for.
    pub at: Timestamp,
    /// What happened.
    pub kind: EventKind,
    /// For a call: the delivery that made the code ask for it. For what happens to a call: that call.
    pub refers: Option<EventSeq>,
    /// The name of the workflow, task, signal, pause point, value or key.
    pub name: Option<Arc<str>>,
    /// Input, output, value or error, as JSON.
    pub payload: Option<Payload>,
    /// The rest, as JSON: source line, due time, attempt, and so on.
    pub meta: Option<Payload>,
}

impl Event {
    /// Decodes `meta`; fields that are absent take their defaults.
    pub(crate) fn meta<T: DeserializeOwned + Default>(&self) -> T {
        self.meta
            .as_ref()
            .and_then(|meta| meta.decode().ok())
            .unwrap_or_default()
    }

    /// The event that first recorded what this one brings: another, where a value was delivered before and not seen, or
    /// is taken over from before a rewind.
    pub(crate) fn first_received(&self) -> EventSeq {
        let may_be_another = matches!(
            self.kind,
            EventKind::SignalReceived | EventKind::PauseAnswered | EventKind::CallReused
        );
        let from = self
            .meta
            .as_ref()
            .filter(|_| may_be_another)
            .and_then(|_| self.meta::<AttemptMeta>().from);
        from.unwrap_or(self.seq)
    }

    /// The recorded name, or nothing.
    pub(crate) fn name_str(&self) -> &str {
        self.name.as_deref().unwrap_or_default()
    }
}

macro_rules! event_kinds {
    ($($(#[$doc:meta])* $kind:ident = $code:literal, $text:literal;)*) => {
        /// What an event says happened. The numbers are the stored form and never change.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[non_exhaustive]
        #[repr(u8)]
        pub enum EventKind { $($(#[$doc])* $kind = $code,)* }

        impl EventKind {
            /// Every kind, in the order of the stored numbers.
            pub const ALL: &'static [Self] = &[$(Self::$kind,)*];

            /// The kind a stored number stands for.
            pub const fn from_code(code: i64) -> Option<Self> {
                match code { $($code => Some(Self::$kind),)* _ => None }
            }

            /// The name shown to people, like `TASK_COMPLETED`.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$kind => $text,)* }
            }
        }
    };
}

event_kinds! {
    /// The execution began; payload: its input; name: its workflow.
    WorkflowStarted = 1, "WORKFLOW_STARTED";
    /// The workflow returned; payload: its output.
    WorkflowCompleted = 2, "WORKFLOW_COMPLETED";
    /// The workflow failed; payload: the failure.
    WorkflowFailed = 3, "WORKFLOW_FAILED";
    /// The execution was cancelled.
    WorkflowCancelled = 4, "WORKFLOW_CANCELLED";
    /// The execution was terminated.
    WorkflowTerminated = 5, "WORKFLOW_TERMINATED";
    /// The workflow began anew under the same id; payload: its new input.
    ContinuedAsNew = 6, "CONTINUED_AS_NEW";
    /// A failed execution was resumed, or a failed attempt of the workflow repeated.
    Rewound = 7, "REWOUND";
    /// Something that is not durable woke the workflow.
    Woken = 8, "WOKEN";
    /// Somebody wants the execution cancelled; meta: whether that is its parent.
    CancelRequested = 9, "CANCEL_REQUESTED";
    /// The code asked for a task; payload: its input.
    TaskStarted = 10, "TASK_STARTED";
    /// A task returned; payload: its output.
    TaskCompleted = 11, "TASK_COMPLETED";
    /// A task failed for good; payload: the error.
    TaskFailed = 12, "TASK_FAILED";
    /// One attempt failed and another follows; payload: the error.
    TaskAttemptFailed = 13, "TASK_ATTEMPT_FAILED";
    /// A body was cut off by the death of its process, and will run again.
    TaskInterrupted = 14, "TASK_INTERRUPTED";
    /// A call took the result recorded before a rewind; payload: that result.
    CallReused = 15, "CALL_REUSED";
    /// The code dropped a call before its end.
    CallCancelled = 16, "CALL_CANCELLED";
    /// The body of a dropped call returned all the same; payload: its output, which nobody is given.
    TaskDiscarded = 17, "TASK_DISCARDED";
    /// The execution was bound to wait for its turn; payload: its input; name: its workflow.
    WorkflowQueued = 18, "WORKFLOW_QUEUED";
    /// The code is not let run on; payload: why.
    WorkflowStopping = 19, "WORKFLOW_STOPPING";
    /// The code asked for a timer.
    TimerStarted = 20, "TIMER_STARTED";
    /// A timer came due.
    TimerFired = 21, "TIMER_FIRED";
    /// The process ended in order before the body was begun; it will be.
    TaskDeferred = 25, "TASK_DEFERRED";
    /// A body that was deferred is begun.
    TaskBegun = 26, "TASK_BEGUN";
    /// A body ran a transaction of its own; name: that of the transaction; payload: its result, or its error.
    BodyTransaction = 27, "BODY_TRANSACTION";
    /// The code waits for a signal.
    SignalAwaited = 30, "SIGNAL_AWAITED";
    /// A waiting call took a signal; payload: its value.
    SignalReceived = 31, "SIGNAL_RECEIVED";
    /// The code wants to know when it is to be cancelled.
    CancelAwaited = 32, "CANCEL_AWAITED";
    /// The code was told that it is to be cancelled.
    CancelDelivered = 33, "CANCEL_DELIVERED";
    /// The code reached a pause point.
    PauseReached = 40, "PAUSE_REACHED";
    /// Somebody answered a pause point; payload: the value given.
    PauseAnswered = 41, "PAUSE_ANSWERED";
    /// The code called another workflow; payload: its input.
    ChildStarted = 50, "CHILD_STARTED";
    /// A child returned; payload: its output.
    ChildCompleted = 51, "CHILD_COMPLETED";
    /// A child failed; payload: the error.
    ChildFailed = 52, "CHILD_FAILED";
    /// A random value was drawn; name: what sort; payload: the value.
    ValueRecorded = 60, "VALUE_RECORDED";
    /// The code took the new side of a patch; name: its id.
    Patched = 61, "PATCHED";
    /// The workflow published a value; name: its key; payload: the value.
    Published = 62, "PUBLISHED";
    /// The code has ended, and what it left to be done at its end begins; name: how it ended.
    ExitStarted = 63, "EXIT_STARTED";
}

impl EventKind {
    /// The stored number.
    pub const fn code(self) -> i64 {
        self as i64
    }

    /// Whether code can have asked for this: a call that a later event answers.
    pub(crate) const fn is_call(self) -> bool {
        matches!(
            self,
            Self::TaskStarted
                | Self::TimerStarted
                | Self::SignalAwaited
                | Self::CancelAwaited
                | Self::PauseReached
                | Self::ChildStarted
        )
    }

    /// Whether it belongs to the delivery before it: what the code then asked for, or its end.
    pub(crate) const fn is_asked(self) -> bool {
        self.is_call()
            || self.is_end()
            || matches!(
                self,
                Self::CallCancelled
                    | Self::ValueRecorded
                    | Self::Patched
                    | Self::Published
                    | Self::ExitStarted
            )
    }

    /// Whether this ends a call and is handed to the code that waits for it.
    pub(crate) const fn is_completion(self) -> bool {
        matches!(
            self,
            Self::TaskCompleted
                | Self::TaskFailed
                | Self::CallReused
                | Self::TimerFired
                | Self::SignalReceived
                | Self::CancelDelivered
                | Self::PauseAnswered
                | Self::ChildCompleted
                | Self::ChildFailed
        )
    }

    /// Whether the call is answered by values that others send, one for each call.
    pub(crate) const fn takes_from_a_queue(self) -> bool {
        matches!(self, Self::SignalAwaited | Self::PauseReached)
    }

    /// Whether nothing follows it but a resume.
    pub(crate) const fn is_end(self) -> bool {
        matches!(
            self,
            Self::WorkflowCompleted
                | Self::WorkflowFailed
                | Self::WorkflowCancelled
                | Self::WorkflowTerminated
        )
    }
}

impl fmt::Display for EventKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// `meta` of `WorkflowStarted` and `WorkflowQueued`.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct StartedMeta {
    #[serde(default)]
    pub(crate) version: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) parent: Option<Arc<str>>,
    /// Of `WorkflowQueued`: where it waits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) queue: Option<Arc<str>>,
    /// Of `WorkflowQueued`: it does not start before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) due: Option<Timestamp>,
    /// What becomes of it when its parent lets go of it.
    #[serde(default, skip_serializing_if = "ChildPolicy::is_default")]
    pub(crate) when_parent_ends: ChildPolicy,
    /// Of `WorkflowQueued`: nobody has compared the input with the type that the workflow takes.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) unchecked: bool,
}

/// `meta` of every call: where it stands in the source, and when a timer is due.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct CallMeta {
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(crate) site: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) due: Option<Timestamp>,
    /// Of a child: its execution id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) child: Option<Arc<str>>,
    /// Of a child: what becomes of it when it is let go of.
    #[serde(default, skip_serializing_if = "ChildPolicy::is_default")]
    pub(crate) when_parent_ends: ChildPolicy,
    /// Of a pause point: its answer stays given when the execution is rolled back.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) keep: bool,
    /// Of a signal: it is waited for again when the execution is rolled back.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) again: bool,
    /// Of a rollback: the call it undoes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) undoes: Option<EventSeq>,
}

/// Writes a source line as it is recorded in [`CallMeta`].
pub(crate) fn site_text(site: &Location<'_>) -> String {
    format!("{}:{}:{}", site.file(), site.line(), site.column())
}

impl CallMeta {
    /// Whether what a call of this kind received is asked for again after the execution was rolled back. A person who
    /// answered a pause point did so for what was undone; a signal tells what happened elsewhere and is not sent twice.
    pub(crate) fn is_asked_again(&self, kind: EventKind) -> bool {
        match kind {
            EventKind::PauseReached => !self.keep,
            EventKind::SignalAwaited => self.again,
            _ => false,
        }
    }
}

/// `meta` of what happens to a task: how many attempts were made, and when the next is due.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct AttemptMeta {
    #[serde(default)]
    pub(crate) attempt: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) due: Option<Timestamp>,
    /// Of `CallReused`: the event whose result it took. Of `SignalReceived` and `PauseAnswered`: the event that
    /// delivered the value to a call that was dropped before its code looked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) from: Option<EventSeq>,
    /// Of `TaskInterrupted`: whether the body may not have begun; then the attempt keeps its number.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) uncertain: bool,
    /// Of `TaskAttemptFailed`: the attempts are spent and the fallback follows.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) fallback: bool,
}

/// `meta` of `TaskCompleted` and `TaskFailed`, where a transaction came to that.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub(crate) struct OutcomeMeta {
    /// Whether it was recorded before the code was polled with it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) open: bool,
}

/// `meta` of `BodyTransaction`: which one of the body's transactions it was, and how it ended.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub(crate) struct BodyTransactionMeta {
    /// How many of its name the attempt had run before.
    #[serde(default)]
    pub(crate) nth: u32,
    /// Whether it was undone.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) failed: bool,
    /// Whether the fallback ran it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) fallback: bool,
}

/// `meta` of `CancelRequested`.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub(crate) struct CancelMeta {
    /// Whether the parent wants it, which may need the execution again: a parent that failed may be resumed.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) by_parent: bool,
    /// Whether the code already counted as cancelled when it was given the arrival that is recorded just before this event.
    /// After a beginning it always did.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) counts_first: bool,
}

/// What an execution that has ended leaves in doubt for an attempt of its parent that would call it again. It is also the
/// `meta` of `ChildCompleted` and `ChildFailed`, where there is any.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Doubt {
    /// `at_most_once` tasks whose outcome is unknown, here or in a child that has ended.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) unknown: Vec<Arc<str>>,
    /// Children that were cut off and had not ended when this was written: what they leave in doubt is in their own ends.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) cut_off: Vec<ExecutionId>,
}

impl Doubt {
    pub(crate) fn is_none(&self) -> bool {
        self.unknown.is_empty() && self.cut_off.is_empty()
    }
}

/// `meta` of the ends of a workflow: what a parent has to know of a child that it opens or calls again. An end that leaves
/// nothing to be known has none.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct EndedMeta {
    /// The first event that no longer counts if the execution is opened again; without one, this end itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) since: Option<EventSeq>,
    /// Whether the parent ended it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) by_parent: bool,
    /// Whether what it had done was undone.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) rolled_back: bool,
    #[serde(default, skip_serializing_if = "Doubt::is_none")]
    pub(crate) doubt: Doubt,
}

/// `meta` of `Rewound`. The last events that count before this one are those from `from` on, but none from `to` on; what
/// counts before them is told by the event at `from`, where that is a `Rewound` itself. One with a payload begins from that
/// input, and nothing before it counts.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct RewoundMeta {
    /// The first event that no longer counts.
    pub(crate) to: u32,
    /// The first event of the last run that still counts.
    pub(crate) from: u32,
    /// The calls that get another try.
    pub(crate) retry: Vec<EventSeq>,
    /// The attempt of the workflow that begins here.
    pub(crate) attempt: u32,
    /// The attempt that opened the present budget of `max_attempts`.
    pub(crate) budget_from: u32,
    /// Of an attempt that follows by itself: children that were cut off and whose calls no longer count.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) cut_off: Vec<ExecutionId>,
}
