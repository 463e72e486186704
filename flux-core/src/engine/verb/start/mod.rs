//! `run` and `start`.

use std::fmt;
use std::future::Future;
use std::marker::PhantomData;
use std::pin::Pin;
use std::task::{Context, Poll};

use std::time::{Duration, SystemTime};

use futures::future::BoxFuture;
use serde::Serialize;
use serde::de::DeserializeOwned;

use self::carry_out::{run, start};
use self::description::{StartDescription, StartTime};
use crate::engine::Engine;
use crate::engine::placement::stand_in::Named;
use crate::error::Error;
use crate::execution::{Execution, Handle};
use crate::id::ExecutionId;
use crate::workflow::WorkflowDef;

mod carry_out;
mod check;
mod description;

/// What [`Workflow::run`](crate::Workflow::run) gives: a future of the finished or paused execution.
#[must_use = "a run does nothing until it is awaited"]
pub struct Run<O>(Launch<Execution<O>>);

/// What [`Workflow::start`](crate::Workflow::start) gives: a future of a handle.
#[must_use = "a start does nothing until it is awaited"]
pub struct Start<O>(Launch<Handle<O>>);

/// A start that is being described, and then its future.
enum Launch<T> {
    Described(
        Option<StartDescription>,
        fn(StartDescription) -> BoxFuture<'static, Result<T, Error>>,
    ),
    Going(BoxFuture<'static, Result<T, Error>>),
}

impl<T> Launch<T> {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<T, Error>> {
        loop {
            match self {
                Self::Going(going) => return going.as_mut().poll(cx),
                Self::Described(description, go) => match description.take() {
                    Some(description) => *self = Self::Going(go(description)),
                    None => return Poll::Pending,
                },
            }
        }
    }

    fn describe(&mut self, change: impl FnOnce(&mut StartDescription)) {
        if let Self::Described(Some(description), _) = self {
            change(description);
        }
    }
}

impl<O: DeserializeOwned + 'static> Run<O> {
    pub(crate) fn new<I: Serialize>(
        engine: Option<Engine>,
        def: &'static WorkflowDef,
        input: &I,
    ) -> Self {
        let description = StartDescription::new(engine, Named::Code(def), input);
        Self(Launch::Described(Some(description), |description| {
            Box::pin(run(description))
        }))
    }
}

impl<O: 'static> Start<O> {
    pub(crate) fn new<I: Serialize>(engine: Option<Engine>, workflow: Named, input: &I) -> Self {
        let description = StartDescription::new(engine, workflow, input);
        Self(Launch::Described(Some(description), |description| {
            Box::pin(start(description))
        }))
    }
}

/// What can be said of a start, the same for both.
macro_rules! start_options {
    ($builder:ident) => {
        impl<O> $builder<O> {
            /// Names the execution, which makes this an idempotent start: if there is none of this id it is started;
            /// one of the same workflow and input is waited for, or taken up where a crash left it; one of another
            /// input is an [`Error::InputMismatch`].
            pub fn execution_id(mut self, id: impl Into<ExecutionId>) -> Self {
                self.0
                    .describe(|description| description.id = Some(id.into()));
                self
            }

            /// Puts it into a queue, whose limits it obeys: it is `Pending` until a [worker](Engine::worker) takes
            /// it out. What is recorded at once is its input.
            pub fn queue(mut self, name: impl Into<String>) -> Self {
                self.0
                    .describe(|description| description.queue = Some(name.into()));
                self
            }

            /// Leaves it to a [worker](Engine::worker), of this program or another: it is `Pending` until one takes
            /// it. What is recorded at once is its input.
            pub fn for_worker(mut self) -> Self {
                self.0
                    .describe(|description| description.is_for_worker = true);
                self
            }

            /// Lets it go before those of a lower priority that wait with it. The default is 0.
            pub fn priority(mut self, priority: i32) -> Self {
                self.0
                    .describe(|description| description.priority = priority);
                self
            }

            /// Starts it no sooner than this from now. It is `Pending` until then, and a [worker](Engine::worker)
            /// starts it.
            pub fn delay(mut self, delay: Duration) -> Self {
                self.0
                    .describe(|description| description.due = StartTime::After(delay));
                self
            }

            /// Starts it no sooner than at this moment: see [`delay`](Self::delay).
            pub fn at(mut self, moment: SystemTime) -> Self {
                self.0
                    .describe(|description| description.due = StartTime::At(moment.into()));
                self
            }

            /// Starts nothing while an execution with the same key has not finished, in the same queue or, without
            /// one, of the same workflow: that one is taken instead.
            pub fn dedup(mut self, key: impl Into<String>) -> Self {
                self.0
                    .describe(|description| description.dedup = Some(key.into()));
                self
            }

            /// Makes a start that [`dedup`](Self::dedup) finds repeated an [`Error::Duplicate`].
            pub fn refuse_duplicate(mut self) -> Self {
                self.0
                    .describe(|description| description.refuses_duplicate = true);
                self
            }
        }
    };
}

start_options!(Run);
start_options!(Start);

impl<O> Future for Run<O> {
    type Output = Result<Execution<O>, Error>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.0.poll(cx)
    }
}

impl<O> Future for Start<O> {
    type Output = Result<Handle<O>, Error>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.0.poll(cx)
    }
}

impl<O> fmt::Debug for Run<O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Run").field(&PhantomData::<O>).finish()
    }
}

impl<O> fmt::Debug for Start<O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Start").field(&PhantomData::<O>).finish()
    }
}

impl Engine {
    /// Starts a workflow that this program need not have, with an input that comes as JSON: the execution is recorded
    /// as `Pending`, and a [worker](Engine::worker) of a program that has the workflow takes it.
    ///
    /// Its version, queue, limits and tags are what the newest version in the [catalog](Engine::catalog) says. Of a
    /// workflow that no program has described, the version is that of its latest execution, else 1, and it has no queue
    /// and no limits. The input is not compared with the type that the workflow takes: what does not fit is found by the
    /// worker.
    ///
    /// # Errors
    ///
    /// Those of any start; [`Error::InvalidInput`] also where the input lacks a field that the workflow's lock is made
    /// of. Nothing is stored then.
    pub fn start_elsewhere(&self, name: &str, input: impl Serialize) -> Start<serde_json::Value> {
        let workflow = Named::Name(name.to_owned());
        Start::new(Some(self.clone()), workflow, &input).for_worker()
    }

    /// Starts the newest registered version of a workflow by its name, with an input that comes as JSON: for
    /// handlers of requests, and tools.
    ///
    /// # Errors
    ///
    /// [`Error::WorkflowNotFound`], which lists what is registered; [`Error::InvalidInput`] with the JSON path when
    /// the input is not what the workflow takes. Nothing is stored then.
    pub fn start_by_name(&self, name: &str, input: impl Serialize) -> Start<serde_json::Value> {
        match self.kernel().registry.newest(name) {
            Ok(def) => Start::new(Some(self.clone()), Named::Code(def), &input),
            Err(error) => Start(Launch::Going(Box::pin(async { Err(error) }))),
        }
    }

    /// As [`start_by_name`](Self::start_by_name), but [runs](crate::Workflow::run) it until it finishes or pauses.
    pub fn run_by_name(&self, name: &str, input: impl Serialize) -> Run<serde_json::Value> {
        match self.kernel().registry.newest(name) {
            Ok(def) => Run::new(Some(self.clone()), def, &input),
            Err(error) => Run(Launch::Going(Box::pin(async { Err(error) }))),
        }
    }
}
