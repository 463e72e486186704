//! What a call asks its driver to do, once it is recorded.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use serde::de::DeserializeOwned;

use crate::clock::Timestamp;
use crate::error::panic_message;
use crate::id::{EventSeq, ExecutionId};
use crate::payload::{Payload, PayloadError};
use crate::policy::ChildPolicy;
use crate::retry::Backoff;
use crate::store::TransactionBody;
use crate::task::{BodyFuture, StartBody, TaskDef};
use crate::type_name::readable;
use crate::workflow::WorkflowDef;

/// What is to be done for a call.
pub(crate) enum Request {
    /// Run a body until it succeeds or its attempts are spent.
    Task(TaskRequest),
    /// Run statements inside a commit.
    Transaction(TransactionRequest),
    /// Wait until a moment; `is_moment` says that the code named it, and not the time until then.
    Timer { due: Timestamp, is_moment: bool },
    /// Wait for a signal of the call's name; `check` says whether a value is of the wanted type.
    Signal {
        check: Check,
        /// Whether it is waited for again when the execution is rolled back.
        again: bool,
    },
    /// Wait until the execution is to be cancelled.
    Cancelled,
    /// Wait for a `resume`; `wants` is the type of the value it must give, if any.
    Pause {
        wants: Option<WantedValue>,
        /// Whether an answer stays one when the execution is rolled back.
        is_kept: bool,
    },
    /// Run another workflow.
    Child {
        def: &'static WorkflowDef,
        id: Option<ExecutionId>,
        input: Payload,
        policy: ChildPolicy,
    },
}

impl Request {
    /// Whether a body never runs again after it was cut off.
    pub(super) fn is_once(&self) -> bool {
        matches!(self, Self::Task(task) if task.policy.at_most_once)
    }
}

/// Tells whether a value is of the wanted type.
pub(crate) type Check = fn(&Payload) -> Result<(), PayloadError>;

/// The [`Check`] of `T`. To read a value is code of the user's: a panic of it is an answer, too.
pub(crate) fn check<T: DeserializeOwned>(payload: &Payload) -> Result<(), PayloadError> {
    let decoded = catch_unwind(AssertUnwindSafe(|| payload.decode::<T>().map(drop)));
    decoded.unwrap_or_else(|panic| {
        Err(PayloadError {
            path: ".".to_owned(),
            message: format!("reading it panicked: {}", panic_message(&*panic)),
        })
    })
}

/// The type of value that a pause point wants.
#[derive(Clone, Copy)]
pub(crate) struct WantedValue {
    pub(crate) type_name: &'static str,
    pub(crate) check: Check,
}

impl WantedValue {
    /// Its name, as people are told it.
    pub(crate) fn name(&self) -> String {
        readable(self.type_name)
    }
}

/// Statements, and what they are run for.
pub(crate) struct TransactionRequest {
    pub(crate) run: TransactionBody,
    /// The call that this one undoes.
    pub(crate) undoes: Option<EventSeq>,
}

/// A body and how often it may be tried.
pub(crate) struct TaskRequest {
    pub(crate) body: Body,
    pub(crate) policy: Policy,
    pub(crate) fallback: Option<StartBody>,
    /// The call that this one undoes.
    pub(crate) undoes: Option<EventSeq>,
}

/// Where the body of a call comes from.
pub(crate) enum Body {
    /// A `#[task]`, started on the call's recorded input.
    Task(&'static TaskDef),
    /// A step: makes the body anew for each attempt, or only once.
    Step(Box<dyn FnMut() -> Option<BodyFuture> + Send>),
}

/// How often and how long a body is tried.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Policy {
    pub(crate) max_attempts: u32,
    pub(crate) backoff: Backoff,
    pub(crate) timeout: Option<Duration>,
    pub(crate) deadline: Option<Duration>,
    pub(crate) at_most_once: bool,
}

impl Policy {
    /// One attempt, no limits.
    pub(crate) const ONCE: Self = Self {
        max_attempts: 1,
        backoff: Backoff::DEFAULT,
        timeout: None,
        deadline: None,
        at_most_once: false,
    };
}

impl Request {
    /// The call that it undoes.
    pub(super) fn undoes(&self) -> Option<EventSeq> {
        match self {
            Self::Task(task) => task.undoes,
            Self::Transaction(transaction) => transaction.undoes,
            _ => None,
        }
    }
}

impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Task(_) => "Task",
            Self::Transaction(_) => "Transaction",
            Self::Timer { .. } => "Timer",
            Self::Signal { .. } => "Signal",
            Self::Cancelled => "Cancelled",
            Self::Pause { .. } => "Pause",
            Self::Child { .. } => "Child",
        })
    }
}

/// The name of a call as text that is shared rather than copied where it is fixed.
pub(crate) fn shared_name(name: &str) -> Arc<str> {
    name.into()
}
