//! What workflow code holds: `ExecutionContext`, and the durable operations, one file each.

use std::fmt;
use std::sync::Arc;
use std::time::SystemTime;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::id::ExecutionId;
use crate::payload::{Payload, PayloadError};
use crate::task::{StartError, State};
use crate::type_name::readable;

mod body;
mod cancel;
mod child;
pub(crate) mod current;
pub(crate) mod end;
pub(crate) mod lifecycle;
pub(crate) mod on_exit;
mod pause;
mod pending;
pub(crate) mod request;
mod rollback;
pub(crate) mod shared;
mod signal;
pub(crate) mod statements;
mod step;
mod task_call;
mod timer;
pub(crate) mod unknown;
pub(crate) mod unseen;
mod until;
mod value;

pub(crate) use body::{BodyContext, InBody, StopToken};
pub use body::{TaskContext, idempotency_key, task_context};
pub use cancel::{Cancelled, cancelled};
pub use child::ChildCall;
pub(crate) use child::child_call;
pub use pause::{Pause, PauseValue, pause};
pub use rollback::roll_back;
pub use signal::{SignalWait, signal};
pub use step::{IntoStep, step};
pub(crate) use task_call::step_call;
pub use task_call::{TaskCall, task_call, transaction_call};
pub use timer::{Elapsed, Sleep, Timeout, sleep, sleep_until, sleep_until_cron, timeout};
pub use value::{Random, now, patched, publish, random, uuid};

use shared::Shared;

/// What a workflow knows of its own execution. Its first and only parameter.
///
/// The durable operations are free functions: [`flux::sleep`](sleep), [`flux::pause`](pause) and so on.
pub struct ExecutionContext<I = ()> {
    shared: Arc<Shared>,
    input: Arc<I>,
}

/// An execution's context before its input is read.
pub struct RawContext {
    pub(crate) shared: Arc<Shared>,
    pub(crate) input: Payload,
}

impl<I: DeserializeOwned> ExecutionContext<I> {
    #[doc(hidden)]
    pub fn private_from_raw(raw: RawContext) -> Result<Self, PayloadError> {
        let input = Arc::new(raw.input.decode()?);
        Ok(Self {
            shared: raw.shared,
            input,
        })
    }
}

impl<I> ExecutionContext<I> {
    /// The recorded input.
    pub fn input(&self) -> &I {
        &self.input
    }

    /// The execution's id.
    pub fn execution_id(&self) -> &ExecutionId {
        &self.shared.id
    }

    /// The moment that the schedule started this execution for: the slot, not the moment at which it really
    /// began. `None` where no schedule did.
    pub fn scheduled_at(&self) -> Option<SystemTime> {
        self.shared.scheduled_at.map(Into::into)
    }

    /// Which attempt of the workflow this is, from 1, as of the point that is replayed.
    pub fn attempt(&self) -> u32 {
        self.shared.state().attempt
    }

    /// Whether the code is being replayed: nothing it does has an effect outside.
    ///
    /// For what must not happen twice, such as metrics; branching on it breaks the replay.
    pub fn is_replaying(&self) -> bool {
        self.shared.state().replaying
    }

    /// A dependency given to the engine with `state(value)`.
    ///
    /// # Panics
    ///
    /// When the engine has no value of this type.
    pub fn state<T: Send + Sync + 'static>(&self) -> State<T> {
        self.shared.env.states.get().unwrap_or_else(|error| match error {
            StartError::MissingState(name) => {
                let name = readable(name);
                panic!("the engine has no state of type `{name}`: add `.state(value)` to its builder")
            }
            StartError::Arguments(error) => panic!("{error}"),
        })
    }

    /// Begins the workflow anew with `input`, under the same id and with an empty history to replay; never
    /// returns. For workflows that go on for ever: a history should not grow without end.
    ///
    /// Signals that were not taken yet stay in their queues. Calls that are still held are cancelled.
    ///
    /// What is registered with [`on_exit`](Self::on_exit) is forgotten, and so are the rollbacks of what was done.
    ///
    /// # Panics
    ///
    /// When `input` cannot be recorded; and in what is done at the end of the execution, which is over then.
    pub async fn continue_as_new(&self, input: I) -> std::convert::Infallible
    where
        I: Serialize,
    {
        let payload = Payload::record_again(&input, self.shared.workflow.reencode)
            .unwrap_or_else(|error| panic!("the new input cannot be recorded: {error}"));
        {
            let mut state = self.shared.state();
            let is_over = state.is_exiting;
            state.continue_with = Some(payload).filter(|_| !is_over);
            drop(state);
            assert!(!is_over, "the execution is over, and cannot begin anew");
        }
        std::future::pending().await
    }
}

impl<I> Clone for ExecutionContext<I> {
    fn clone(&self) -> Self {
        Self {
            shared: Arc::clone(&self.shared),
            input: Arc::clone(&self.input),
        }
    }
}

impl<I: fmt::Debug> fmt::Debug for ExecutionContext<I> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ExecutionContext")
            .field("execution_id", &self.shared.id)
            .field("input", &self.input)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for RawContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RawContext")
            .field("input", &self.input)
            .finish_non_exhaustive()
    }
}
