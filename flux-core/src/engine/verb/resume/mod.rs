//! `resume`: goes on with an execution that paused, crashed or failed.

use std::fmt;
use std::future::Future;
use std::marker::PhantomData;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use futures::future::BoxFuture;
use serde::Serialize;
use serde::de::DeserializeOwned;

use self::passing_on::begin_or_pass_on;
use self::request::{answers_under_way, go_on, is_to_go_on, tell_whether_it_waited};
use crate::engine::Engine;
use crate::engine::driver::{Begin, Intent};
use crate::engine::driver::{launch, wait_turn_and_settled};
use crate::engine::kernel::Kernel;
use crate::engine::kernel::driving::{Driving, Refusal};
use crate::engine::kernel::pausing::{Answer, check_pause};
use crate::engine::kernel::refuse::invalid;
use crate::engine::ownership::claim_or_refuse;
use crate::engine::verb::chosen::Chosen;
use crate::engine::verb::workflow::check_workflow;
use crate::error::Error;
use crate::execution::{Execution, PausePoint, Snapshot, Status};
use crate::id::ExecutionId;
use crate::payload::{Payload, PayloadError};
use crate::store::ExecutionRecord;
use crate::workflow::WorkflowDef;

mod passing_on;
pub(crate) mod request;

/// A driver that has given its execution up is gone within this, unless its runtime is badly overloaded.
const LEAVING: Duration = Duration::from_secs(2);

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

/// A resume whose engine is known and whose value has been checked.
pub(crate) struct Described {
    pub(crate) engine: Engine,
    pub(crate) def: Option<&'static WorkflowDef>,
    pub(crate) id: ExecutionId,
    is_retry: bool,
    pub(crate) answer: Answer,
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

    pub(crate) async fn describe(self) -> Result<Described, Error> {
        match self.0 {
            ResumeStage::Described(Some(description)) => describe(description).await,
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
}

async fn resume<O: DeserializeOwned>(
    description: ResumeDescription,
) -> Result<Execution<O>, Error> {
    let described = describe(description).await?;
    let kernel = described.engine.kernel();
    match resume_record(&described).await {
        Ok(snapshot) => Execution::new(described.engine, snapshot),
        Err(error) => Err(tell_whether_it_waited(kernel, error).await),
    }
}

async fn describe(description: ResumeDescription) -> Result<Described, Error> {
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
    Ok(Described {
        engine,
        def,
        id,
        is_retry,
        answer,
    })
}

impl Described {
    /// Refuses what is not to be retried.
    pub(crate) fn check_status(&self, status: Status) -> Result<(), Error> {
        if self.is_retry && status != Status::Failed {
            return Err(Error::NotFailed {
                id: self.id.clone(),
                status,
            });
        }
        Ok(())
    }
}

impl Engine {
    /// Goes on with an execution that has failed, without waiting for it.
    pub(crate) async fn resume_in_background(&self, id: &ExecutionId) -> Result<(), Error> {
        let described = Described {
            engine: self.clone(),
            def: None,
            id: id.clone(),
            is_retry: false,
            answer: Answer::default(),
        };
        if let Resumed::Driving(driving) = begin_resume(&described).await? {
            // One that exists is not refused.
            let _ = driving.started().await?;
            driving.into_guard().detach();
        }
        Ok(())
    }
}

async fn resume_record(described: &Described) -> Result<Snapshot, Error> {
    let Described { engine, id, .. } = described;
    let mut is_passed_on = false;
    loop {
        let resumed = match begin_or_pass_on(described).await {
            // Another driver has taken up what was passed on.
            Err(Error::AlreadyRunning { id: busy, .. }) if is_passed_on && busy == *id => {
                Resumed::PassedOn
            }
            resumed => resumed?,
        };
        match resumed {
            Resumed::AsItIs(snapshot) => return Ok(*snapshot),
            Resumed::Waiting => return wait_turn_and_settled(engine.kernel(), id).await,
            Resumed::PassedOn => {
                is_passed_on = true;
                let snapshot = engine.wait_after_passing_on(id).await?;
                if !is_to_go_on(engine.kernel(), &snapshot.record).await? {
                    return Ok(snapshot);
                }
            }
            Resumed::Driving(driving) => {
                return match driving.settled().await? {
                    Ok(snapshot) => Ok(snapshot),
                    Err(Refusal::Full(holder)) => {
                        let record = engine.kernel().record(id).await?;
                        Err(Error::LimitReached {
                            id: record.id,
                            workflow: record.workflow.to_string(),
                            holder,
                        })
                    }
                    Err(_) => Err(engine.kernel().not_found(id)),
                };
            }
        }
    }
}

/// What a resume does about an execution that waits at pause points. An answer that somebody has asked for is delivered
/// rather than asked for again, and no other is given in its stead.
async fn answering(
    engine: &Engine,
    record: &ExecutionRecord,
    answer: &Answer,
) -> Result<Intent, Error> {
    let answered = answers_under_way(engine.kernel(), record).await?;
    let is_own = |point: &PausePoint| point.execution_id() == &record.id;
    let meant = match answer.answers_a_pause() {
        false if answered.iter().any(is_own) => return Ok(Intent::Recover),
        // Of a child's the child has to be resumed.
        false if !answered.is_empty() => answered.first().cloned(),
        _ => check_pause(record, answer)?,
    };
    match meant {
        Some(point) if answered.contains(&point) => Err(Error::AlreadyAnswered {
            id: point.execution_id().clone(),
            name: point.name().to_owned(),
        }),
        meant => Ok(Intent::Answer(Answer {
            meant,
            ..answer.clone()
        })),
    }
}

/// What a resume came to.
pub(crate) enum Resumed {
    /// There is nothing to do.
    AsItIs(Box<Snapshot>),
    /// It waits for its turn.
    Waiting,
    /// Its driver was told.
    PassedOn,
    /// It goes on.
    Driving(Driving),
}

pub(crate) async fn begin_resume(described: &Described) -> Result<Resumed, Error> {
    let Described {
        engine,
        def,
        id,
        answer,
        ..
    } = described;
    let def = *def;
    let record = record_left(engine.kernel(), id).await?;
    if let Some(def) = def {
        check_workflow(def, &record)?;
    }
    described.check_status(record.status)?;
    let intent = match record.status {
        Status::Completed => {
            let snapshot = engine.kernel().snapshot(record).await?;
            return Ok(Resumed::AsItIs(Box::new(snapshot)));
        }
        Status::Cancelled | Status::Terminated => {
            return Err(Error::AlreadyFinished {
                id: id.clone(),
                status: record.status,
            });
        }
        _ if engine.kernel().drivers.contains(id) => {
            return Err(Error::AlreadyRunning {
                id: id.clone(),
                by: "this process".to_owned(),
            });
        }
        // A worker starts it when its queue and gate allow, so it is not claimed here.
        Status::Pending => return Ok(Resumed::Waiting),
        Status::Failed => Intent::Retry,
        // Off hold; a pause point is answered only by one that says so.
        Status::Paused if record.hold.is_some() && !answer.answers_a_pause() => Intent::Recover,
        Status::Paused => answering(engine, &record, answer).await?,
        _ if answer.answers_a_pause() => Intent::Answer(answer.clone()),
        _ => Intent::Recover,
    };
    let code = engine.kernel().registry.for_execution(&record, def)?;
    let claimed = claim_or_refuse(engine.kernel(), id).await?;
    if !claimed.record.status.is_finished()
        && let Err(error) = go_on(engine.kernel(), &claimed.record).await
    {
        claimed.give_back().await;
        return Err(error);
    }
    let begin = Begin::claimed(claimed, intent);
    let driving = launch(engine.kernel(), code, id.clone(), begin, None)?;
    Ok(Resumed::Driving(driving))
}

/// The row of an execution, once a driver in this process is gone that has given it up or was dropped: to its caller, it
/// is not driven here any more.
async fn record_left(kernel: &Kernel, id: &ExecutionId) -> Result<ExecutionRecord, Error> {
    // That its future was dropped was a crash, and this comes after it.
    kernel.drivers.see_off(id).await;
    let record = kernel.record(id).await?;
    let is_given_up = record.owner.is_none() && !record.status.is_finished();
    match kernel.drivers.get(id).filter(|_| is_given_up) {
        Some(leaving) => {
            // Perhaps it is not leaving, but has claimed the execution since.
            let _ = tokio::time::timeout(LEAVING, leaving.gone()).await;
            kernel.record(id).await
        }
        None => Ok(record),
    }
}

impl<O> fmt::Debug for Resume<O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Resume").field(&PhantomData::<O>).finish()
    }
}
