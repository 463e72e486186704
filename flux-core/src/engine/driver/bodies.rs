//! Bodies: each attempt is a tokio task of its own, aborted when the driver lets go of it.

use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, OnceLock};
use std::task::Poll;
use std::time::Duration;

use futures::FutureExt;
use futures::future::Either;
use tracing::Instrument;

use super::core::Core;
use super::core::calls::{Task, TaskState};
use super::link::{Link, Unspawned};
use super::running::{AbortOnDrop, RunningBody};
use super::threads::{Left, Presence, Thread, warn_if_it_hangs};
use crate::clock::{Timekeeper, Timestamp};
use crate::context::current::{self, Current};
use crate::context::request::Body;
use crate::context::statements::Statements;
use crate::context::{BodyContext, InBody, StopToken};
use crate::engine::kernel::Kernel;
use crate::engine::kernel::input::{DriverInput, FromBody};
use crate::error::{BodyError, Error, ErrorRecord, TaskErrorKind, panic_message};
use crate::id::EventSeq;
use crate::task::{BodyFuture, BodyResult, StartError, Started, States};

impl Link {
    /// Starts the next attempt of a task, or its fallback.
    pub(super) fn launch(
        &mut self,
        kernel: &Arc<Kernel>,
        core: &mut Core,
        call: EventSeq,
    ) -> Result<(), Error> {
        if self.starts_nothing(core) {
            core.calls.set_task(call, TaskState::Deferred);
            return Ok(());
        }
        let Some(task) = core.calls.task(call) else {
            return Ok(());
        };
        let started = task.start(&kernel.env.states)?;
        task.progress.due = None;
        let unspawned = self.attempt(kernel, core, call, started);
        match unspawned {
            Some(short) if short.is_short && is_alone(core, call) => {
                self.bodies.alone = Some(short);
            }
            Some(unspawned) => self.spawn(core, unspawned),
            None => {}
        }
        Ok(())
    }

    /// The attempt of a task that begins with this body. From here on, it counts as running.
    fn attempt(
        &mut self,
        kernel: &Arc<Kernel>,
        core: &mut Core,
        call: EventSeq,
        started: Started,
    ) -> Option<Unspawned> {
        let task = core.calls.task(call)?;
        let (name, number) = (Arc::clone(&task.name), task.progress.attempt());
        let (timeout, deadline) = (task.request.policy.timeout, task.deadline());
        // A fallback does other work.
        let before = if task.is_fallback() {
            None
        } else {
            self.bodies.threads.left_by(&task.name, &task.input)
        };
        let limits = AttemptLimits {
            timeout,
            deadline: deadline.map(|at| core.steady_at(at)),
        };
        let is_blocking = matches!(started, Started::Blocking(_));
        let (presence, thread) = is_blocking.then(Thread::new).unzip();
        let run = self.bodies.take_run();
        let span = tracing::info_span!(
            "task",
            execution_id = %core.id,
            workflow = core.def.name,
            task = &*name,
            attempt = number
        );
        let context = Arc::new(BodyContext {
            execution: core.id.clone(),
            call,
            task: name,
            attempt: number,
            env: Arc::clone(&kernel.env),
            missing_state: OnceLock::new(),
            stop: StopToken::default(),
            statements: self.statements_of(call, run),
        });
        let running = RunningBody {
            run,
            context: Arc::clone(&context),
            thread: thread.clone(),
            abort: None,
            has_ended: false,
            noted: None,
        };
        core.calls.set_task(call, TaskState::Running(running));
        let is_short = !limits.are_set() && !is_blocking && before.is_none();
        let attempt = Attempt {
            context,
            limits,
            time: Arc::clone(&kernel.time),
            patience: core.rules.blocking_patience,
            before,
            thread: presence.zip(thread),
        };
        Some(Unspawned {
            call,
            run,
            is_short,
            attempt: Box::pin(attempt.run(started).instrument(span)),
        })
    }

    /// Polls a body that is all the execution waits for once in place, which saves many a short one two trips
    /// through the scheduler; one that then waits becomes a tokio task as any other.
    pub(super) async fn poll_alone(&mut self, core: &mut Core) {
        let Some(mut alone) = self.bodies.alone.take() else {
            return;
        };
        // Another may have been started beside it since.
        if !is_alone(core, alone.call) {
            self.spawn(core, alone);
            return;
        }
        match futures::poll!(&mut alone.attempt) {
            Poll::Ready(result) => {
                let Unspawned { call, run, .. } = alone;
                let input = DriverInput::Body { call, run, result };
                self.take(core, input);
            }
            Poll::Pending => self.spawn(core, alone),
        }
    }

    fn spawn(&mut self, core: &mut Core, unspawned: Unspawned) {
        let Unspawned {
            call, run, attempt, ..
        } = unspawned;
        let sender = self.sender().clone();
        let running = tokio::spawn(async move {
            // Bodies are caught further in; what remains are destructors.
            let result = AssertUnwindSafe(attempt).catch_unwind().await;
            let result = result.unwrap_or_else(|panic| Err(panicked(&*panic)));
            // Without a driver, what was not recorded will run again.
            let _ = sender.send(DriverInput::Body { call, run, result });
        });
        let abort = AbortOnDrop(running.abort_handle());
        if let Some(running) = core.calls.task(call).and_then(Task::running) {
            running.abort = Some(abort);
        }
    }

    /// How a run of a body has its statements run.
    fn statements_of(&self, call: EventSeq, run: u64) -> Statements {
        let sender = self.sender().clone();
        Statements::new(move |asked| {
            // Without a driver the reply is dropped, and the body is told so.
            let _ = sender.send(DriverInput::Statements(FromBody { call, run, asked }));
        })
    }
}

/// Whether this body is all that the execution waits for, so that its driver has nothing else to do while
/// it polls it.
fn is_alone(core: &Core, call: EventSeq) -> bool {
    core.calls.are_only(call) && core.arrivals.is_empty() && core.next_stop().is_none()
}

impl Task {
    /// Gives the next body its arguments.
    fn start(&mut self, states: &States) -> Result<Started, Error> {
        let start = || match (
            &self.progress.fallback_after,
            self.request.fallback,
            &mut self.request.body,
        ) {
            (Some(_), Some(fallback), _) => fallback(&self.input, states),
            (_, _, Body::Task(def)) => (def.start)(&self.input, states),
            (_, _, Body::Step(make)) => {
                Ok(make().map_or_else(|| failed(step_is_spent()), Started::Async))
            }
        };
        // A step's closure and a type's `Deserialize` are user code.
        match std::panic::catch_unwind(AssertUnwindSafe(start)) {
            Ok(Ok(started)) => Ok(started),
            Ok(Err(StartError::MissingState(state))) => Err(Error::MissingState {
                task: self.name.to_string(),
                state: state.to_owned(),
            }),
            Ok(Err(StartError::Arguments(error))) => Ok(failed(BodyError::final_message(format!(
                "its arguments cannot be recorded: {error}"
            )))),
            Err(panic) => Ok(failed(panicked(&*panic))),
        }
    }
}

/// A body that fails at once.
fn failed(error: BodyError) -> Started {
    Started::Async(Box::pin(async move { Err(error) }))
}

fn step_is_spent() -> BodyError {
    BodyError::final_message(
        "it was given as a future, which can run once only; give it as a closure, `|| async { .. }`, to have it retried",
    )
}

/// What limits the attempts of a task.
#[derive(Clone, Copy)]
struct AttemptLimits {
    /// How long one may take.
    timeout: Option<Duration>,
    /// When all of them have to be done.
    deadline: Option<Timestamp>,
}

impl AttemptLimits {
    fn are_set(self) -> bool {
        self.timeout.is_some() || self.deadline.is_some()
    }

    /// When an attempt that begins now has to be done.
    fn of_attempt(self, time: &Timekeeper) -> Option<Limit> {
        let timeout = self.timeout.map(|span| Limit {
            until: time.steady().after(span),
            span: Some(span),
        });
        let deadline = self.deadline.map(|until| Limit { until, span: None });
        [timeout, deadline]
            .into_iter()
            .flatten()
            .min_by_key(|limit| limit.until)
    }
}

/// When one attempt has to be done.
#[derive(Clone, Copy)]
struct Limit {
    until: Timestamp,
    /// The timeout, where it is not the deadline that comes first.
    span: Option<Duration>,
}

impl Limit {
    fn error(self) -> BodyError {
        let message = match self.span {
            None => "it was not done by its deadline".to_owned(),
            Some(span) => format!(
                "it took longer than its timeout of {}",
                humantime::format_duration(span)
            ),
        };
        BodyError {
            record: Box::new(ErrorRecord::message(message)),
            kind: TaskErrorKind::TimedOut,
            retryable: self.span.is_some(),
            tasks: Vec::new(),
        }
    }
}

struct Attempt {
    context: Arc<BodyContext>,
    limits: AttemptLimits,
    time: Arc<Timekeeper>,
    /// How long another attempt waits for a thread whose time is up.
    patience: Duration,
    /// The thread of an earlier attempt.
    before: Option<Left>,
    /// The thread of this one.
    thread: Option<(Presence, Thread)>,
}

impl Attempt {
    async fn run(mut self, started: Started) -> BodyResult {
        if let Some(before) = self.before.take() {
            let deadline = self.limits.deadline;
            before.wait(&self.time, deadline).await;
            if let Some(until) = deadline.filter(|deadline| self.time.steady() >= *deadline) {
                return Err(Limit { until, span: None }.error());
            }
        }
        let limit = self.limits.of_attempt(&self.time);
        match started {
            Started::Async(body) => self.run_async(body, limit).await,
            Started::Blocking(body) => self.run_blocking(body, limit).await,
        }
    }

    async fn run_async(&self, body: BodyFuture, limit: Option<Limit>) -> BodyResult {
        let body = InBody::new(Arc::clone(&self.context), body);
        let body = AssertUnwindSafe(body)
            .catch_unwind()
            .map(|ended| ended.unwrap_or_else(|panic| Err(panicked(&*panic))));
        self.within_limit(body, limit).await
    }

    async fn run_blocking(
        &mut self,
        body: Box<dyn FnOnce() -> BodyResult + Send>,
        limit: Option<Limit>,
    ) -> BodyResult {
        let context = Arc::clone(&self.context);
        let span = tracing::Span::current();
        let (presence, seen) = self.thread.take().unzip();
        let mut thread = tokio::task::spawn_blocking(move || {
            let _presence = presence;
            let _entered = span.enter();
            // It may have waited for a thread for longer than anybody waits for it.
            if context.stop.is_set() {
                return Err(BodyError::final_message("it was not begun in time"));
            }
            let run = || current::enter(Current::Body(context), body);
            std::panic::catch_unwind(AssertUnwindSafe(run))
                .unwrap_or_else(|panic| Err(panicked(&*panic)))
        });
        let flatten = |joined: Result<BodyResult, tokio::task::JoinError>| {
            joined.unwrap_or_else(|error| Err(BodyError::final_message(error.to_string())))
        };
        let Some(limit) = limit else {
            return flatten(thread.await);
        };
        match futures::future::select(&mut thread, self.time.until_steady(limit.until)).await {
            Either::Left((joined, _)) => flatten(joined),
            Either::Right(((), _)) => {
                self.context.stop.set();
                // Where it still waits for a thread, it never runs.
                thread.abort();
                if let Some(seen) = seen {
                    let (time, context) = (Arc::clone(&self.time), Arc::clone(&self.context));
                    let until = time.steady().after(self.patience);
                    warn_if_it_hangs(time, context, seen, until);
                }
                Err(limit.error())
            }
        }
    }

    async fn within_limit(
        &self,
        body: impl Future<Output = BodyResult> + Unpin,
        limit: Option<Limit>,
    ) -> BodyResult {
        let Some(limit) = limit else {
            return body.await;
        };
        match futures::future::select(body, self.time.until_steady(limit.until)).await {
            Either::Left((result, _)) => result,
            Either::Right(((), body)) => {
                // A destructor is user code too: one that panics must not take the attempt's answer with it.
                let _ = std::panic::catch_unwind(AssertUnwindSafe(|| drop(body)));
                Err(limit.error())
            }
        }
    }
}

fn panicked(panic: &(dyn std::any::Any + Send)) -> BodyError {
    BodyError {
        record: Box::new(ErrorRecord::message(panic_message(panic))),
        kind: TaskErrorKind::Panicked,
        retryable: true,
        tasks: Vec::new(),
    }
}
