//! Bodies: each attempt is a tokio task of its own, aborted when the driver lets go of it.

use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use futures::future::Either;
use tokio::sync::mpsc;
use tokio::task::AbortHandle;
use tracing::Instrument;

use super::{Driver, Input};
use crate::clock::{Clock, Timestamp};
use crate::context::current::{self, Current};
use crate::context::request::Body;
use crate::context::{BodyContext, InBody};
use crate::error::{Error, ErrorRecord, TaskErrorKind};
use crate::id::EventSeq;
use crate::replay::panic_message;
use crate::task::{BodyError, BodyFuture, BodyResult, StartError, Started};

/// An attempt that runs.
pub(super) struct Running {
    /// Tells this run from an earlier one of the same call.
    pub(super) run: u64,
    _abort: AbortOnDrop,
}

/// Aborts a tokio task when it is let go.
#[derive(Debug)]
pub(crate) struct AbortOnDrop(pub(crate) AbortHandle);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Driver {
    /// Starts the next attempt of a task, or its fallback.
    pub(super) fn launch(&mut self, call: EventSeq) -> Result<(), Error> {
        let Some(task) = self.tasks.get_mut(&call) else {
            return Ok(());
        };
        let attempt = task.progress.attempt();
        task.progress.due = None;
        let states = &self.engine.env.states;
        let started = match (
            &task.progress.fallback_after,
            task.request.fallback,
            &mut task.request.body,
        ) {
            (Some(_), Some(fallback), _) => fallback(&task.input, states),
            (_, _, Body::Task(def)) => (def.start)(&task.input, states),
            (_, _, Body::Step(make)) => match make() {
                Some(body) => Ok(Started::Async(body)),
                None => Ok(Started::Async(Box::pin(async { Err(step_is_spent()) }))),
            },
        };
        let started = match started {
            Ok(started) => started,
            Err(StartError::MissingState(state)) => {
                return Err(Error::MissingState {
                    task: task.name.to_string(),
                    state: state.to_owned(),
                });
            }
            Err(StartError::Arguments(error)) => {
                let error =
                    BodyError::final_message(format!("its arguments cannot be recorded: {error}"));
                Started::Async(Box::pin(async move { Err(error) }))
            }
        };
        let context = Arc::new(BodyContext {
            execution: self.id.clone(),
            call,
            task: Arc::clone(&task.name),
            attempt,
            env: Arc::clone(&self.engine.env),
        });
        let limit = Limit::of(
            task.request.policy.timeout,
            task.deadline(),
            self.engine.clock.now(),
        );
        let run = self.next_run;
        self.next_run += 1;
        let span = tracing::info_span!(
            "task",
            execution_id = %self.id,
            workflow = self.def.name,
            task = &*task.name,
            attempt
        );
        let attempt = Attempt {
            context,
            limit,
            clock: Arc::clone(&self.engine.clock),
        };
        let sender = self.sender.clone();
        let running = tokio::spawn(attempt.run(started, call, run, sender).instrument(span));
        task.running = Some(Running {
            run,
            _abort: AbortOnDrop(running.abort_handle()),
        });
        Ok(())
    }
}

fn step_is_spent() -> BodyError {
    BodyError::final_message(
        "it was given as a future, which can run once only; give it as a closure, `|| async { .. }`, to have it retried",
    )
}

/// How long one attempt may take.
#[derive(Clone, Copy)]
struct Limit {
    until: Timestamp,
    span: Duration,
    is_deadline: bool,
}

impl Limit {
    fn of(timeout: Option<Duration>, deadline: Option<Timestamp>, now: Timestamp) -> Option<Self> {
        let timeout = timeout.map(|span| Self {
            until: now.after(span),
            span,
            is_deadline: false,
        });
        let deadline = deadline.map(|until| Self {
            until,
            span: until.since(now),
            is_deadline: true,
        });
        [timeout, deadline]
            .into_iter()
            .flatten()
            .min_by_key(|limit| limit.until)
    }

    fn error(self) -> BodyError {
        let message = if self.is_deadline {
            "it was not done by its deadline".to_owned()
        } else {
            format!(
                "it took longer than its timeout of {}",
                humantime::format_duration(self.span)
            )
        };
        BodyError {
            record: ErrorRecord::message(message),
            kind: TaskErrorKind::TimedOut,
            retryable: !self.is_deadline,
            tasks: Vec::new(),
        }
    }
}

struct Attempt {
    context: Arc<BodyContext>,
    limit: Option<Limit>,
    clock: Arc<dyn Clock>,
}

impl Attempt {
    async fn run(
        self,
        started: Started,
        call: EventSeq,
        run: u64,
        sender: mpsc::UnboundedSender<Input>,
    ) {
        let result = match started {
            Started::Async(body) => self.run_async(body).await,
            Started::Blocking(body) => self.run_blocking(body).await,
        };
        // The driver is gone: what was not recorded will run again.
        let _ = sender.send(Input::Body { call, run, result });
    }

    async fn run_async(&self, body: BodyFuture) -> BodyResult {
        let body = InBody {
            context: Arc::clone(&self.context),
            body,
        };
        let body = AssertUnwindSafe(body)
            .catch_unwind()
            .map(|ended| ended.unwrap_or_else(|panic| Err(panicked(&*panic))));
        self.within_limit(Box::pin(body)).await
    }

    async fn run_blocking(&self, body: Box<dyn FnOnce() -> BodyResult + Send>) -> BodyResult {
        let context = Arc::clone(&self.context);
        let span = tracing::Span::current();
        let mut thread = tokio::task::spawn_blocking(move || {
            let _entered = span.enter();
            let run = || current::enter(Current::Body(context), body);
            std::panic::catch_unwind(AssertUnwindSafe(run))
                .unwrap_or_else(|panic| Err(panicked(&*panic)))
        });
        let flatten = |joined: Result<BodyResult, tokio::task::JoinError>| {
            joined.unwrap_or_else(|error| Err(BodyError::final_message(error.to_string())))
        };
        let Some(limit) = self.limit else {
            return flatten(thread.await);
        };
        match futures::future::select(&mut thread, self.clock.sleep_until(limit.until)).await {
            Either::Left((joined, _)) => flatten(joined),
            Either::Right(((), _)) => {
                // A thread cannot be stopped: wait it out, or a retry would run beside it.
                let _ = thread.await;
                Err(limit.error())
            }
        }
    }

    async fn within_limit(&self, body: impl Future<Output = BodyResult> + Unpin) -> BodyResult {
        let Some(limit) = self.limit else {
            return body.await;
        };
        match futures::future::select(body, self.clock.sleep_until(limit.until)).await {
            Either::Left((result, _)) => result,
            Either::Right(((), _)) => Err(limit.error()),
        }
    }
}

fn panicked(panic: &(dyn std::any::Any + Send)) -> BodyError {
    BodyError {
        record: ErrorRecord::message(panic_message(panic)),
        kind: TaskErrorKind::Panicked,
        retryable: true,
        tasks: Vec::new(),
    }
}
