//! `resume`: goes on with an execution that paused, crashed or failed.

use std::fmt;
use std::future::Future;
use std::marker::PhantomData;
use std::pin::Pin;
use std::task::{Context, Poll};

use futures::future::BoxFuture;
use serde::Serialize;
use serde::de::DeserializeOwned;

use self::begin::{Resumed, begin_resume};
use self::checked::CheckedResume;
use self::drive::drive;
use self::request::tell_whether_it_waited;
use crate::engine::Engine;
use crate::engine::kernel::pausing::Answer;
use crate::engine::kernel::refuse::invalid;
use crate::engine::verb::chosen::Chosen;
use crate::error::Error;
use crate::execution::{Execution, Handle};
use crate::id::ExecutionId;
use crate::payload::{Payload, PayloadError};
use crate::workflow::WorkflowDef;

mod begin;
mod checked;
mod drive;
mod request;

/// Goes on with an execution until it finishes or pauses again; what
/// [`Workflow::resume`](crate::Workflow::resume) and [`Engine::resume`] give.
///
/// | the execution is … | a resume … |
/// |---|---|
/// | paused | answers the one pause point that waits; with several, the one that [`at`](Resume::at) names |
/// | crashed | replays what is recorded and goes on; bodies that were cut off run again |
/// | failed | keeps every success and tries again the calls whose error escaped |
/// | failed and [rolled back](crate::Failure::is_rolled_back) | begins the code again: [what was undone](crate::Failure::undone) runs again under new idempotency keys, a person is asked again at pause points, and what was not undone keeps its result |
/// | failed with an [unknown outcome](crate::Failure::has_unknown_outcome) | runs that body again, which may have done its work: look first what it did |
/// | completed | runs nothing, writes nothing and returns the stored output |
/// | cancelled, terminated | is refused: [`Error::AlreadyFinished`] |
/// | driven by somebody alive, and somebody has asked to pause it | takes that back, and waits with its driver |
/// | paused, and its driver stays because it cleans up after a cancellation | answers the pause point, and waits with it |
/// | otherwise driven by somebody alive | is refused: [`Error::AlreadyRunning`] |
/// | failed, and others have the place that its workflow's `concurrency` or `lock` gives | is refused: [`Error::LimitReached`] |
///
/// Awaited, it drives the execution here, with the workflow registered in this program; [`request`](Resume::request)
/// leaves that to whoever has the code.
///
/// A failed execution whose own code decided to fail has no call to try again: the code is replayed, and if it
/// fails in the same way the execution is returned as it was.
#[must_use = "a resume does nothing until it is awaited"]
pub struct Resume<O>(ResumeStage<O>);

enum ResumeStage<O> {
    Described(Option<ResumeDescription>),
    Going(BoxFuture<'static, Result<Execution<O>, Error>>),
}

struct ResumeDescription {
    engine: Chosen,
    def: Option<&'static WorkflowDef>,
    id: ExecutionId,
    /// Only what has failed.
    is_retry: bool,
    at: Option<String>,
    value: Option<Result<Payload, PayloadError>>,
}

impl<O> Resume<O> {
    pub(crate) fn new(
        engine: Option<Engine>,
        def: Option<&'static WorkflowDef>,
        id: ExecutionId,
    ) -> Self {
        Self(ResumeStage::Described(Some(ResumeDescription {
            engine: Chosen::here(engine),
            def,
            id,
            is_retry: false,
            at: None,
            value: None,
        })))
    }

    /// One that refuses what has not failed.
    pub(crate) fn of_failed(engine: Engine, id: ExecutionId) -> Self {
        let mut resume = Self::new(Some(engine), None, id);
        if let ResumeStage::Described(Some(description)) = &mut resume.0 {
            description.is_retry = true;
        }
        resume
    }

    /// Asks for it and returns at once: whoever has the code, a [worker](Engine::worker) in this process or in
    /// another, goes on with the execution. The workflow need not be registered here.
    ///
    /// When this returns `Ok` the request is durable: it survives crashes of both sides.
    ///
    /// | the execution is … | a request … |
    /// |---|---|
    /// | at a pause point | answers the one that is meant, and never a later one: a repeated request does nothing more |
    /// | at a pause point, and at work beside it | the same, if it names the point or has a value |
    /// | on hold | takes it off hold; it answers a pause point only if it names one or has a value |
    /// | failed | opens it again: what failed is tried once more, as by a resume that is awaited |
    /// | running, and somebody has asked to pause it | takes that back, and the execution goes on |
    /// | running, pending, completed | writes nothing |
    /// | cancelled, terminated | is refused: [`Error::AlreadyFinished`] |
    ///
    /// # Errors
    ///
    /// Those of an awaited resume that can be found without the code. Whether a value is of the type that the pause
    /// point wants only the code can tell: one of another type is dropped with a warning by whoever reads it, and the
    /// execution stays paused as it was. A failed execution whose own code decided to fail is run again all the same.
    pub async fn request(self) -> Result<Handle<O>, Error> {
        let checked = self.check().await?;
        loop {
            match checked.try_request().await {
                Ok(true) => return Ok(Handle::new(checked.engine, checked.id)),
                Ok(false) => tokio::task::yield_now().await,
                Err(error) => {
                    return Err(tell_whether_it_waited(checked.engine.kernel(), error).await);
                }
            }
        }
    }

    async fn check(self) -> Result<CheckedResume, Error> {
        match self.0 {
            ResumeStage::Described(Some(description)) => check(description).await,
            ResumeStage::Described(None) | ResumeStage::Going(_) => Err(Error::Configuration(
                "this resume is under way already: make another one to request it".to_owned(),
            )),
        }
    }

    /// Gives the pause point its value. A value of another type than it wants is refused before anything is
    /// written.
    pub fn with<T: Serialize + ?Sized>(mut self, value: &T) -> Self {
        if let ResumeStage::Described(Some(description)) = &mut self.0 {
            description.value = Some(Payload::record(value));
        }
        self
    }

    /// Names the pause point to answer, as `review` or, in a child, `child/review`. If that one does not wait
    /// (any more), nothing happens but [`Error::NotPausedAt`]: a repeated resume never answers the next pause.
    pub fn at(mut self, pause_point: impl Into<String>) -> Self {
        if let ResumeStage::Described(Some(description)) = &mut self.0 {
            description.at = Some(pause_point.into());
        }
        self
    }
}

impl<O: DeserializeOwned + 'static> Future for Resume<O> {
    type Output = Result<Execution<O>, Error>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        loop {
            match &mut self.0 {
                ResumeStage::Going(going) => return going.as_mut().poll(cx),
                ResumeStage::Described(description) => match description.take() {
                    Some(description) => self.0 = ResumeStage::Going(Box::pin(resume(description))),
                    None => return Poll::Pending,
                },
            }
        }
    }
}

impl Engine {
    /// Goes on with an execution of any registered workflow: see [`Resume`].
    pub fn resume(&self, id: impl Into<ExecutionId>) -> Resume<serde_json::Value> {
        Resume::new(Some(self.clone()), None, id.into())
    }

    /// Tries again what failed, as [`resume`](Engine::resume) does, and refuses what has not: await it, or
    /// [`request`](Resume::request) it.
    ///
    /// What succeeded is kept, with two exceptions, which [`Failure`](crate::Failure) names in advance: where the execution
    /// or a child was [rolled back](crate::Failure::is_rolled_back), [what was undone](crate::Failure::undone) runs again under new
    /// idempotency keys; a body whose [outcome is unknown](crate::Failure::has_unknown_outcome) runs again although it may
    /// have done its work.
    ///
    /// # Errors
    ///
    /// Those of a resume, and [`Error::NotFailed`].
    pub fn retry(&self, id: impl Into<ExecutionId>) -> Resume<serde_json::Value> {
        Resume::of_failed(self.clone(), id.into())
    }

    /// Goes on with an execution that has failed, without waiting for it.
    pub(crate) async fn resume_in_background(&self, id: &ExecutionId) -> Result<(), Error> {
        let checked = CheckedResume {
            engine: self.clone(),
            def: None,
            id: id.clone(),
            is_retry: false,
            answer: Answer::default(),
        };
        if let Resumed::Driving(driving) = begin_resume(&checked).await? {
            // One that exists is not refused.
            let _ = driving.started().await?;
            driving.into_guard().detach();
        }
        Ok(())
    }
}

async fn resume<O: DeserializeOwned>(
    description: ResumeDescription,
) -> Result<Execution<O>, Error> {
    let checked = check(description).await?;
    let kernel = checked.engine.kernel();
    match drive(&checked).await {
        Ok(snapshot) => Execution::new(checked.engine, snapshot),
        Err(error) => Err(tell_whether_it_waited(kernel, error).await),
    }
}

async fn check(description: ResumeDescription) -> Result<CheckedResume, Error> {
    let ResumeDescription {
        engine,
        def,
        id,
        is_retry,
        at,
        value,
    } = description;
    let engine = engine
        .for_change("resume(..)", "resume it from outside")
        .await?;
    let what = || format!("value for a pause point of execution `{id}`");
    let value = value.transpose().map_err(|error| invalid(what(), error))?;
    if let Some(value) = &value {
        engine.kernel().check_size(value, what)?;
    }
    let answer = Answer {
        at,
        value,
        meant: None,
    };
    Ok(CheckedResume {
        engine,
        def,
        id,
        is_retry,
        answer,
    })
}

impl<O> fmt::Debug for Resume<O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Resume").field(&PhantomData::<O>).finish()
    }
}
