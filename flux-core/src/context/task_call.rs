//! `TaskCall`: one use of a task or a step.

use std::any::Any;
use std::fmt;
use std::future::Future;
use std::marker::PhantomData;
use std::panic::Location;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::body::MissingState;
use super::current::{self, Current};
use super::pending::{Misplaced, Pending};
use super::request::{Body, Policy, Request, TaskRequest, TransactionRequest};
use super::shared::{Fault, NewCall, Outcome, Shared};
use crate::error::{BodyError, ErrorRecord, TaskError, TaskErrorKind, TaskFailure};
use crate::event::EventKind;
use crate::id::EventSeq;
use crate::payload::{Payload, PayloadError};
use crate::retry::Backoff;
use crate::store::TransactionBody;
use crate::task::{
    BodyFuture, BodyResult, StartBody, StartError, Started, States, TaskDef, TaskOptions,
};

/// One call of a task or a [`step`](crate::step): a future of `Result<T, TaskError>`.
///
/// It is lazy, as Rust's futures are: nothing happens before it is awaited. In a workflow the call is
/// recorded before its body runs and its result is recorded once; every later replay is given that result and
/// the body does not run again. Outside a workflow, and inside another task's body, it is a plain call.
///
/// # Delivery
///
/// The result is recorded exactly once; the body runs at least once: a crash between its effect and the
/// record of it repeats it. See [`idempotency_key`](crate::idempotency_key).
///
/// # Cancel safety
///
/// Dropping it cancels the call: its body is aborted at its next await, the cancellation is recorded, and in
/// every replay it stays cancelled.
#[must_use = "a call does nothing until it is awaited"]
pub struct TaskCall<T> {
    stage: TaskStage,
    name: Arc<str>,
    site: &'static Location<'static>,
    options: TaskOptions,
    /// The call that this one undoes.
    undoes: Option<EventSeq>,
    _output: PhantomData<fn() -> T>,
}

enum TaskStage {
    /// Not in a workflow: the body, and the state it was given.
    Plain {
        start: PlainStart,
        states: States,
    },
    /// Not in a workflow: statements, which only a body can have run.
    PlainTransaction(TransactionBody),
    /// In a workflow, not yet polled.
    Durable {
        shared: Arc<Shared>,
        work: Callee,
    },
    Waiting(Pending),
    Running(BodyFuture),
    Done,
}

type PlainStart = Box<dyn FnOnce(&States) -> Result<Started, StartError> + Send>;

enum Callee {
    Task {
        def: &'static TaskDef,
        input: Result<Payload, PayloadError>,
    },
    Step(Box<dyn FnMut() -> Option<BodyFuture> + Send>),
    Transaction(TransactionBody),
}

/// Makes the call that a `#[task]` function returns.
#[track_caller]
pub fn task_call<A, T>(
    def: &'static TaskDef,
    args: A,
    start: fn(A, &States) -> Result<Started, StartError>,
) -> TaskCall<T>
where
    A: Serialize + Send + 'static,
{
    let stage = match current::workflow() {
        Some(shared) => TaskStage::Durable {
            shared,
            work: Callee::Task {
                def,
                input: Payload::record_again(&args, def.reencode),
            },
        },
        None => TaskStage::Plain {
            start: Box::new(move |states| start(args, states)),
            states: here(),
        },
    };
    TaskCall::new(stage, def.name.into(), def.options)
}

/// Makes the call of a step.
#[track_caller]
pub(crate) fn step_call<T>(
    name: Arc<str>,
    mut body: Box<dyn FnMut() -> Option<BodyFuture> + Send>,
) -> TaskCall<T> {
    let stage = match current::workflow() {
        Some(shared) => TaskStage::Durable {
            shared,
            work: Callee::Step(body),
        },
        None => {
            let start = move |_: &States| {
                body()
                    .map(Started::Async)
                    .ok_or(StartError::MissingState("step body"))
            };
            TaskStage::Plain {
                start: Box::new(start),
                states: here(),
            }
        }
    };
    TaskCall::new(
        stage,
        name,
        TaskOptions {
            max_attempts: Some(1),
            ..TaskOptions::DEFAULT
        },
    )
}

/// Makes a call whose body is run by the store, inside the commit that records its outcome.
///
/// For backends: `flux::sqlite::transaction` is made of this. In a body the driver runs it for the body's call; outside of
/// both it is an error.
#[track_caller]
pub fn transaction_call<T>(name: impl Into<String>, statements: TransactionBody) -> TaskCall<T> {
    let body: TransactionBody =
        Arc::new(move |connection| current::enter(Current::Transaction, || statements(connection)));
    let name: Arc<str> = name.into().into();
    let stage = match current::workflow() {
        Some(shared) => TaskStage::Durable {
            shared,
            work: Callee::Transaction(body),
        },
        None => TaskStage::PlainTransaction(body),
    };
    TaskCall::new(
        stage,
        name,
        TaskOptions {
            max_attempts: Some(1),
            ..TaskOptions::DEFAULT
        },
    )
}

/// Runs statements for the body that runs here.
fn run_statements(name: &Arc<str>, statements: TransactionBody) -> BodyFuture {
    match current::body() {
        Some(body) => body.statements.run(name, statements),
        None => Box::pin(std::future::ready(Err(BodyError::final_message(
            "a transaction belongs to the store of a workflow, and none runs here: await it in a workflow, or in the \
             body of one of its tasks",
        )))),
    }
}

/// The state of the body that runs here, if one does.
fn here() -> States {
    current::body()
        .map(|body| body.env.states.clone())
        .unwrap_or_default()
}

impl<T> TaskCall<T> {
    #[track_caller]
    fn new(stage: TaskStage, name: Arc<str>, options: TaskOptions) -> Self {
        Self {
            stage,
            name,
            site: Location::caller(),
            options,
            undoes: None,
            _output: PhantomData,
        }
    }

    /// Marks it as what undoes another call.
    pub(crate) fn undoing(mut self, call: EventSeq) -> Self {
        self.undoes = Some(call);
        self
    }

    /// Says where in the source it was made.
    pub(crate) fn at(mut self, site: &'static Location<'static>) -> Self {
        self.site = site;
        self
    }

    /// Gives this one call another name in the history, in errors and on screens.
    ///
    /// # Determinism
    ///
    /// The name is part of the call: a replay must give it the same.
    pub fn named(mut self, name: impl Into<String>) -> Self {
        self.name = name.into().into();
        self
    }

    /// Sets how often this one call is tried in all, at least once.
    ///
    /// A step that is given as a future, not as a closure, can be tried once only.
    pub fn max_attempts(mut self, attempts: u32) -> Self {
        self.options.max_attempts = Some(attempts.max(1));
        self
    }

    /// Sets the wait between the attempts of this one call.
    pub fn backoff(mut self, backoff: Backoff) -> Self {
        self.options.backoff = Some(backoff);
        self
    }

    /// Limits each attempt of this one call.
    pub fn timeout(mut self, limit: Duration) -> Self {
        self.options.timeout = Some(limit);
        self
    }

    /// Limits all attempts of this one call together with the waits between them.
    pub fn deadline(mut self, limit: Duration) -> Self {
        self.options.deadline = Some(limit);
        self
    }

    /// Gives a plain call, outside a workflow, the state its body needs. In a workflow the engine's is taken.
    pub fn with_state<S: Send + Sync + 'static>(mut self, state: S) -> Self {
        if let TaskStage::Plain { states, .. } = &mut self.stage {
            states.insert(state);
        }
        self
    }

    fn error(&self, kind: TaskErrorKind, error: ErrorRecord) -> TaskError {
        TaskError::unrecorded(TaskFailure {
            task: Arc::clone(&self.name),
            kind,
            attempts: 0,
            error,
            undone: Vec::new(),
        })
    }

    fn message(&self, message: impl Into<String>) -> TaskError {
        self.error(TaskErrorKind::Failed, ErrorRecord::message(message))
    }

    /// The call as it is recorded, or why it cannot be.
    fn new_call(&self, shared: &Shared, work: Callee) -> Result<NewCall, TaskError> {
        let mut input = None;
        let request = match work {
            Callee::Task {
                def,
                input: encoded,
            } => {
                let payload = encoded.map_err(|error| {
                    self.message(format!("its input cannot be recorded: {error}"))
                })?;
                let (size, limit) = (payload.size(), shared.env.payload_limit);
                if size > limit {
                    return Err(self.message(format!(
                        "its input takes {size} bytes, and the payload limit is {limit}"
                    )));
                }
                input = Some(payload);
                self.task_request(shared, Body::Task(def), def.fallback)
            }
            Callee::Step(body) => self.task_request(shared, Body::Step(body), None),
            Callee::Transaction(run) => Request::Transaction(TransactionRequest {
                run,
                undoes: self.undoes,
            }),
        };
        Ok(NewCall {
            kind: EventKind::TaskStarted,
            name: Arc::clone(&self.name),
            input,
            site: self.site,
            request,
        })
    }

    fn task_request(&self, shared: &Shared, body: Body, fallback: Option<StartBody>) -> Request {
        let defaults = shared.env.defaults;
        let policy = Policy {
            max_attempts: self.options.max_attempts.unwrap_or(defaults.max_attempts),
            backoff: self.options.backoff.unwrap_or(defaults.backoff),
            timeout: self.options.timeout.or(defaults.timeout),
            deadline: self.options.deadline.or(defaults.deadline),
            at_most_once: self.options.at_most_once,
        };
        Request::Task(TaskRequest {
            body,
            policy,
            fallback,
            undoes: self.undoes,
        })
    }

    /// Inside another task's body the engine is at fault, and the execution stops without a failure.
    fn lacks_state(&self, state: &'static str) -> Result<BodyFuture, TaskError> {
        let Some(body) = current::body() else {
            return Err(self.message(format!(
                "it needs `State<{state}>`, and outside an engine there is none: give it with `.with_state(value)`"
            )));
        };
        let task = Arc::clone(&self.name);
        // The first one that is missing is as good as any.
        let _ = body.missing_state.set(MissingState { task, state });
        Ok(Box::pin(std::future::pending()))
    }

    fn begin_plain(&self, start: PlainStart, states: &States) -> Result<BodyFuture, TaskError> {
        match start(states) {
            Ok(Started::Async(body)) => Ok(body),
            Ok(Started::Blocking(body)) => {
                // On its thread, too, it is code of the body that calls it.
                let caller = current::body();
                let body = move || match caller {
                    Some(caller) => current::enter(Current::Body(caller), body),
                    None => body(),
                };
                Ok(Box::pin(async move {
                    match tokio::task::spawn_blocking(body).await {
                        Ok(result) => result,
                        Err(error) => std::panic::resume_unwind(error.into_panic()),
                    }
                }))
            }
            Err(StartError::Arguments(error)) => {
                Err(self.message(format!("its arguments cannot be read: {error}")))
            }
            Err(StartError::MissingState(state)) => self.lacks_state(state),
        }
    }
}

impl<T: DeserializeOwned + 'static> TaskCall<T> {
    fn finish_plain(&self, result: BodyResult) -> Result<T, TaskError> {
        let error = match result {
            Ok(output) => match output.value.downcast::<T>() {
                Ok(value) => return Ok(*value),
                Err(_) => return self.decode_plain(&output.payload),
            },
            Err(error) => error,
        };
        let failure = TaskFailure {
            task: Arc::clone(&self.name),
            kind: error.kind,
            attempts: 1,
            error: *error.record,
            undone: Vec::new(),
        };
        Err(TaskError::unrecorded(failure))
    }

    fn decode_plain(&self, payload: &Payload) -> Result<T, TaskError> {
        payload
            .decode()
            .map_err(|error| self.message(error.to_string()))
    }
}

impl<T: DeserializeOwned + 'static> Future for TaskCall<T> {
    type Output = Result<T, TaskError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        loop {
            match &mut this.stage {
                TaskStage::Waiting(pending) => {
                    let outcome = match pending.poll(cx) {
                        Ok(polled) => ready!(polled),
                        Err(Misplaced) => {
                            let message =
                                Misplaced::message(&format!("the call of task `{}`", this.name));
                            return Poll::Ready(Err(this.message(message)));
                        }
                    };
                    let shared = Arc::clone(pending.shared());
                    this.stage = TaskStage::Done;
                    return open(outcome, &shared, || {
                        format!("output of task `{}`", this.name)
                    });
                }
                TaskStage::Running(body) => {
                    let result = ready!(body.as_mut().poll(cx));
                    this.stage = TaskStage::Done;
                    return Poll::Ready(this.finish_plain(result));
                }
                TaskStage::Done => return Poll::Pending,
                TaskStage::Durable { .. }
                | TaskStage::Plain { .. }
                | TaskStage::PlainTransaction(_) => {
                    if let Err(error) = this.begin() {
                        return Poll::Ready(Err(error));
                    }
                }
            }
        }
    }
}

impl<T> TaskCall<T> {
    /// Goes from the first stage to the second.
    fn begin(&mut self) -> Result<(), TaskError> {
        self.stage = match std::mem::replace(&mut self.stage, TaskStage::Done) {
            TaskStage::Durable { shared, work } => {
                if !current::is_workflow(&shared) {
                    let what = format!("the call of task `{}`", self.name);
                    return Err(self.message(Misplaced::message(&what)));
                }
                let call = self.new_call(&shared, work)?;
                TaskStage::Waiting(Pending::new(shared, call))
            }
            TaskStage::Plain { start, states } => {
                TaskStage::Running(self.begin_plain(start, &states)?)
            }
            TaskStage::PlainTransaction(statements) => {
                TaskStage::Running(run_statements(&self.name, statements))
            }
            other => other,
        };
        Ok(())
    }
}

/// Turns a delivered outcome into what the code is given. A recorded value that is not of today's type
/// stops the execution: the code is not polled again.
pub(crate) fn open<T: DeserializeOwned + 'static>(
    outcome: Outcome,
    shared: &Shared,
    what: impl FnOnce() -> String,
) -> Poll<Result<T, TaskError>> {
    let payload = match outcome {
        Outcome::Error(error) => return Poll::Ready(Err(error)),
        Outcome::Value(payload, decoded) => match decoded.map(<Box<dyn Any + Send>>::downcast::<T>)
        {
            Some(Ok(value)) => return Poll::Ready(Ok(*value)),
            _ => payload,
        },
    };
    match payload.decode() {
        Ok(value) => Poll::Ready(Ok(value)),
        Err(error) => {
            let event = shared.state().delivery;
            shared.fail(Fault::Decode {
                event,
                what: what(),
                error,
            });
            Poll::Pending
        }
    }
}

impl<T> fmt::Debug for TaskCall<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TaskCall")
            .field("name", &self.name)
            .field("site", &self.site.to_string())
            .finish_non_exhaustive()
    }
}
