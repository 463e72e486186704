//! What a running task body knows of itself.

use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};

use pin_project::{pin_project, pinned_drop};
use tokio::sync::Notify;
use uuid::Uuid;

use super::current::{self, Current};
use super::shared::Environment;
use super::statements::Statements;
use crate::error::BodyError;
use crate::id::{EventSeq, ExecutionId};
use crate::task::BodyResult;

/// One attempt of a body.
#[derive(Debug)]
pub(crate) struct BodyContext {
    pub(crate) execution: ExecutionId,
    pub(crate) call: EventSeq,
    pub(crate) task: Arc<str>,
    pub(crate) attempt: u32,
    pub(crate) env: Arc<Environment>,
    /// A task that this body called needs state that the engine does not have.
    pub(crate) missing_state: OnceLock<MissingState>,
    pub(crate) stop: StopToken,
    pub(crate) statements: Statements,
}

/// Tells what outlives an abort, a blocking body or what a body has spawned, that nobody waits for it any more.
#[derive(Debug, Default)]
pub(crate) struct StopToken {
    is_set: AtomicBool,
    told: Notify,
}

impl StopToken {
    pub(crate) fn set(&self) {
        self.is_set.store(true, Ordering::Release);
        self.told.notify_waiters();
    }

    pub(crate) fn is_set(&self) -> bool {
        self.is_set.load(Ordering::Acquire)
    }

    async fn until_set(&self) {
        // Made before the look: what is set in between is not missed.
        let told = self.told.notified();
        if !self.is_set() {
            told.await;
        }
    }
}

/// Which task needs what.
#[derive(Debug, Clone)]
pub(crate) struct MissingState {
    pub(crate) task: Arc<str>,
    pub(crate) state: &'static str,
}

/// What a task's body can know of itself: see [`task_context`].
#[derive(Clone, Debug)]
pub struct TaskContext(Arc<BodyContext>);

impl TaskContext {
    /// The execution this body runs for.
    pub fn execution_id(&self) -> &ExecutionId {
        &self.0.execution
    }

    /// The task's name.
    pub fn task(&self) -> &str {
        &self.0.task
    }

    /// Which attempt this is, from 1; attempts cut off by a crash are counted too.
    pub fn attempt(&self) -> u32 {
        self.0.attempt
    }

    /// Whether nobody waits for this attempt any more: its call was dropped, its execution ended or was taken over, its
    /// time is up.
    ///
    /// An async body need not ask: it is dropped at its next await. A blocking one cannot be stopped from outside, and
    /// neither can what a body has spawned: they look here now and then, and return.
    pub fn is_cancelled(&self) -> bool {
        self.0.stop.is_set()
    }

    /// Resolves as soon as [`is_cancelled`](Self::is_cancelled).
    pub async fn cancelled(&self) {
        self.0.stop.until_set().await;
    }

    pub(crate) fn environment(&self) -> &Environment {
        &self.0.env
    }

    /// See [`idempotency_key`].
    pub fn idempotency_key(&self) -> String {
        format!("{}/{}", self.0.execution, self.0.call)
    }
}

/// What the running body can know of itself; `None` where no task body of a workflow runs.
pub fn task_context() -> Option<TaskContext> {
    current::body().map(TaskContext)
}

/// A text that is the same in every attempt and every replay of this call, and differs from every other
/// call's: hand it to the outside world so that it can tell a repeat from a second request.
///
/// A body runs at least once; a crash between its effect and the record of it repeats it. A payment
/// service that is given this key charges once all the same.
///
/// Outside a workflow, where a task is a plain call, each use gives a new key.
pub fn idempotency_key() -> String {
    task_context().map_or_else(
        || Uuid::now_v7().to_string(),
        |context| context.idempotency_key(),
    )
}

/// Polls a body as the code of its context, and drops it so.
#[pin_project(PinnedDrop)]
pub(crate) struct InBody<F> {
    context: Arc<BodyContext>,
    #[pin]
    body: Option<F>,
}

impl<F> InBody<F> {
    pub(crate) fn new(context: Arc<BodyContext>, body: F) -> Self {
        Self {
            context,
            body: Some(body),
        }
    }
}

#[pinned_drop]
impl<F> PinnedDrop for InBody<F> {
    fn drop(self: Pin<&mut Self>) {
        let mut this = self.project();
        let current = Current::Body(Arc::clone(this.context));
        current::enter(current, || this.body.set(None));
    }
}

impl<F: Future<Output = BodyResult>> Future for InBody<F> {
    type Output = BodyResult;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<BodyResult> {
        let this = self.project();
        let current = Current::Body(Arc::clone(this.context));
        let Some(body) = this.body.as_pin_mut() else {
            return Poll::Pending;
        };
        let polled = current::enter(current, || body.poll(cx));
        match this.context.missing_state.get() {
            // The driver stops the execution: what the body made of it does not count.
            Some(missing) => Poll::Ready(Err(BodyError::final_message(missing.state))),
            None => polled,
        }
    }
}
