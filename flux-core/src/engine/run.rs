//! `run` and `start`.

use std::fmt;
use std::future::Future;
use std::marker::PhantomData;
use std::pin::Pin;
use std::task::{Context, Poll};

use futures::future::BoxFuture;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::active::{Driving, Start as Begun};
use super::driver::{Begin, Intent};
use super::workflow::{check_workflow, engine_for};
use super::{Engine, invalid};
use crate::error::Error;
use crate::execution::{Execution, Handle, Snapshot, Status};
use crate::id::ExecutionId;
use crate::payload::{Payload, PayloadError};
use crate::replay::digest;
use crate::store::{ClaimError, ExecutionRecord};
use crate::workflow::WorkflowDef;

/// What [`Workflow::run`](crate::Workflow::run) gives: a future of the finished or paused execution.
#[must_use = "a run does nothing until it is awaited"]
pub struct Run<O>(Launch<Execution<O>>);

/// What [`Workflow::start`](crate::Workflow::start) gives: a future of a handle.
#[must_use = "a start does nothing until it is awaited"]
pub struct Start<O>(Launch<Handle<O>>);

/// A start that is being described, and then its future.
enum Launch<T> {
    Described(
        Option<Description>,
        fn(Description) -> BoxFuture<'static, Result<T, Error>>,
    ),
    Going(BoxFuture<'static, Result<T, Error>>),
}

struct Description {
    engine: Option<Engine>,
    def: &'static WorkflowDef,
    input: Result<Payload, PayloadError>,
    id: Option<ExecutionId>,
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

    fn describe(&mut self, change: impl FnOnce(&mut Description)) {
        if let Self::Described(Some(description), _) = self {
            change(description);
        }
    }
}

impl<O: DeserializeOwned + 'static> Run<O> {
    pub(super) fn new<I: Serialize>(
        engine: Option<Engine>,
        def: &'static WorkflowDef,
        input: &I,
    ) -> Self {
        let description = Description {
            engine,
            def,
            input: Payload::encode(input),
            id: None,
        };
        Self(Launch::Described(Some(description), |description| {
            Box::pin(run(description))
        }))
    }
}

impl<O> Run<O> {
    /// Names the execution, which makes this an idempotent start: if there is none of this id it is started; one
    /// of the same workflow and input is waited for, or taken up where a crash left it; one of another input is an
    /// [`Error::InputMismatch`].
    pub fn execution_id(mut self, id: impl Into<ExecutionId>) -> Self {
        self.0
            .describe(|description| description.id = Some(id.into()));
        self
    }
}

impl<O: 'static> Start<O> {
    pub(super) fn new<I: Serialize>(
        engine: Option<Engine>,
        def: &'static WorkflowDef,
        input: &I,
    ) -> Self {
        let description = Description {
            engine,
            def,
            input: Payload::encode(input),
            id: None,
        };
        Self(Launch::Described(Some(description), |description| {
            Box::pin(start(description))
        }))
    }
}

impl<O> Start<O> {
    /// Names the execution: see [`Run::execution_id`].
    pub fn execution_id(mut self, id: impl Into<ExecutionId>) -> Self {
        self.0
            .describe(|description| description.id = Some(id.into()));
        self
    }
}

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

async fn run<O: DeserializeOwned + 'static>(
    description: Description,
) -> Result<Execution<O>, Error> {
    let (engine, request) = prepare(description, "run(..)").await?;
    let snapshot = loop {
        match begin(&engine, &request).await? {
            Outcome::Settled(snapshot) => break *snapshot,
            Outcome::Driving(driving) => {
                // Without one, somebody took the id in the meantime: look again.
                if let Some(snapshot) = driving.settled().await? {
                    break snapshot;
                }
            }
            Outcome::Again => tokio::task::yield_now().await,
            Outcome::Elsewhere => match engine.wait_settled(&request.id).await {
                // Whoever was starting it has let go of it before the start was durable.
                Err(Error::ExecutionNotFound { .. } | Error::Interrupted { .. }) => {
                    tokio::task::yield_now().await;
                }
                settled => break settled?,
            },
        }
    };
    Execution::new(engine, snapshot)
}

async fn start<O>(description: Description) -> Result<Handle<O>, Error> {
    let (engine, request) = prepare(description, "start(..)").await?;
    loop {
        match begin(&engine, &request).await? {
            Outcome::Driving(driving) => {
                if driving.started().await? == Begun::Exists {
                    continue;
                }
                driving.into_guard().detach();
            }
            Outcome::Again => {
                tokio::task::yield_now().await;
                continue;
            }
            Outcome::Elsewhere if !is_durable(&engine, &request.id).await? => {
                tokio::task::yield_now().await;
                continue;
            }
            Outcome::Elsewhere | Outcome::Settled(_) => {}
        }
        return Ok(Handle::new(engine, request.id));
    }
}

/// Whether the start that somebody else has under way is durable; waits for it while it is on its way.
async fn is_durable(engine: &Engine, id: &ExecutionId) -> Result<bool, Error> {
    if let Some(active) = engine.inner().active.get(id) {
        active.begun().await;
    }
    Ok(engine.inner().store.execution(id).await?.is_some())
}

/// A start whose input has been checked.
struct Request {
    def: &'static WorkflowDef,
    input: Payload,
    id: ExecutionId,
    /// Whether the caller chose the id, so that an execution of it may exist.
    is_named: bool,
}

/// What a start came to.
enum Outcome {
    /// The execution had settled already.
    Settled(Box<Snapshot>),
    /// This call drives it.
    Driving(Driving),
    /// Somebody else does.
    Elsewhere,
    /// Whoever did has let go of it: look again.
    Again,
}

async fn prepare(description: Description, what: &str) -> Result<(Engine, Request), Error> {
    let Description {
        engine,
        def,
        input,
        id,
    } = description;
    let what = format!("{}.{what}", def.name);
    let cure = format!("use `{}.call(..)`, which is recorded", def.name);
    let engine = engine_for(engine, &what, &cure).await?;
    let what = || format!("input of workflow `{}`", def.name);
    let input = input.map_err(|error| invalid(what(), error))?;
    engine.inner().check_size(&input, what)?;
    // Refused before anything is written: what does not survive its own round trip.
    (def.reencode)(&input).map_err(|error| invalid(what(), error))?;
    let is_named = id.is_some();
    let id = id.unwrap_or_else(ExecutionId::mint);
    check_id(&id)?;
    Ok((
        engine,
        Request {
            def,
            input,
            id,
            is_named,
        },
    ))
}

/// Ids are typed, logged and put into paths of web pages.
fn check_id(id: &ExecutionId) -> Result<(), Error> {
    const LONGEST: usize = 255;
    let text = id.as_str();
    let message = if text.is_empty() {
        "it is empty"
    } else if text.len() > LONGEST {
        "it is longer than 255 bytes"
    } else if text.chars().any(char::is_control) {
        "it has control characters"
    } else {
        return Ok(());
    };
    Err(Error::InvalidInput {
        what: "execution id".to_owned(),
        path: ".".to_owned(),
        message: message.to_owned(),
    })
}

async fn begin(engine: &Engine, request: &Request) -> Result<Outcome, Error> {
    if request.is_named
        && let Some(record) = engine.inner().store.execution(&request.id).await?
    {
        return attach(engine, request, record).await;
    }
    let begin = Begin::New {
        input: request.input.clone(),
        parent: None,
    };
    match engine
        .inner()
        .drive(request.def, request.id.clone(), begin, None)
    {
        Ok(driving) => Ok(Outcome::Driving(driving)),
        // A twin of this start is under way in this process.
        Err(Error::AlreadyRunning { .. }) if request.is_named => {
            attach_to_active(engine, request).await
        }
        Err(error) => Err(error),
    }
}

/// An execution of this id exists: the same start is harmless, another is an error.
async fn attach(
    engine: &Engine,
    request: &Request,
    record: ExecutionRecord,
) -> Result<Outcome, Error> {
    check_workflow(request.def, &record)?;
    check_input(engine, request, &record).await?;
    if record.status.is_finished() || record.status == Status::Paused {
        return Ok(Outcome::Settled(Box::new(
            engine.inner().snapshot(record).await?,
        )));
    }
    if engine.inner().is_active(&request.id) {
        return attach_to_active(engine, request).await;
    }
    let def = engine
        .inner()
        .registry
        .for_execution(&record, Some(request.def))?;
    // Held until the driver is at work. Somebody else in this process is about to drive it: look again.
    let Some(_claiming) = engine.inner().begin_claim(&request.id) else {
        tokio::task::yield_now().await;
        return Ok(Outcome::Again);
    };
    match engine
        .inner()
        .store
        .claim(&request.id, engine.inner().worker.id())
        .await
    {
        Ok(record) => {
            let begin = Begin::Claimed {
                record: Box::new(record),
                intent: Intent::Recover,
            };
            Ok(Outcome::Driving(engine.inner().drive(
                def,
                request.id.clone(),
                begin,
                None,
            )?))
        }
        Err(ClaimError::Held { .. }) => Ok(Outcome::Elsewhere),
        Err(ClaimError::NotFound) => Err(engine.inner().not_found(&request.id)),
        Err(ClaimError::Failed(error)) => Err(error.into()),
    }
}

/// Waits until the driver in this process has an input to compare with, or is gone.
async fn attach_to_active(engine: &Engine, request: &Request) -> Result<Outcome, Error> {
    if let Some(active) = engine.inner().active.get(&request.id)
        && active.is_abandoned()
    {
        active.gone().await;
        return Ok(Outcome::Again);
    }
    if let Some(record) = engine.inner().store.execution(&request.id).await? {
        check_workflow(request.def, &record)?;
        check_input(engine, request, &record).await?;
    }
    Ok(Outcome::Elsewhere)
}

async fn check_input(
    engine: &Engine,
    request: &Request,
    record: &ExecutionRecord,
) -> Result<(), Error> {
    let first = engine
        .inner()
        .store
        .events(record.key, crate::id::EventSeq::FIRST, 1)
        .await?
        .pop();
    let Some(recorded) = first.and_then(|event| event.payload) else {
        return Ok(());
    };
    let given = digest(request.input.as_str());
    let evolved =
        || (request.def.reencode)(&recorded).is_ok_and(|today| digest(today.as_str()) == given);
    if digest(recorded.as_str()) == given || evolved() {
        return Ok(());
    }
    Err(Error::InputMismatch {
        id: request.id.clone(),
        recorded: recorded.to_string(),
        given: request.input.to_string(),
    })
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
    /// Starts the newest registered version of a workflow by its name, with an input that comes as JSON: for
    /// handlers of requests, and tools.
    ///
    /// # Errors
    ///
    /// [`Error::WorkflowNotFound`], which lists what is registered; [`Error::InvalidInput`] with the JSON path when
    /// the input is not what the workflow takes. Nothing is stored then.
    pub fn start_by_name(&self, name: &str, input: impl Serialize) -> Start<serde_json::Value> {
        match self.inner().registry.newest(name) {
            Ok(def) => Start::new(Some(self.clone()), def, &input),
            Err(error) => Start(Launch::Going(Box::pin(async { Err(error) }))),
        }
    }
}
