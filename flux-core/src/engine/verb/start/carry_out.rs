//! The beginning of an execution: at once, in a queue, or not at all because it is there already.

use serde::de::DeserializeOwned;

use super::check::{CheckedStart, prepare};
use super::description::StartDescription;
use crate::clock::Timestamp;
use crate::digest::digest;
use crate::engine::Engine;
use crate::engine::driver::{Begin, Intent};
use crate::engine::driver::{drive_in_turn, launch, settle_in_turn};
use crate::engine::kernel::driving::Driving;
use crate::engine::kernel::progress::Refusal;
use crate::engine::ownership::claim;
use crate::engine::placement::place::dedup_key;
use crate::engine::placement::queued::{QueuedInput, queued_start};
use crate::error::Error;
use crate::event::Event;
use crate::execution::{Execution, Handle, Snapshot, Status};
use crate::id::ExecutionId;
use crate::payload::Payload;
use crate::registry::check_workflow;
use crate::replay::outline::differing;
use crate::store::{ClaimError, Commit, CommitError, ExecutionRecord, NewExecution, Target};
use crate::workflow::OnConflict;

pub(crate) async fn run<O: DeserializeOwned + 'static>(
    description: StartDescription,
) -> Result<Execution<O>, Error> {
    let (engine, mut request) = prepare(description, "run(..)").await?;
    let snapshot = loop {
        match begin(&engine, &request).await? {
            StartOutcome::Settled(snapshot) => break *snapshot,
            StartOutcome::Driving(driving) => match driving.settled().await? {
                Ok(snapshot) => break snapshot,
                Err(refusal) => refused(&engine, &mut request, refusal).await?,
            },
            StartOutcome::Refused(refusal) => refused(&engine, &mut request, refusal).await?,
            StartOutcome::Again => tokio::task::yield_now().await,
            StartOutcome::Elsewhere if request.is_for_worker => {
                break engine.wait_settled(&request.id).await?;
            }
            StartOutcome::Elsewhere => {
                match settle_in_turn(engine.kernel(), &request.id).await {
                    // Whoever was starting it has let go of it before the start was durable.
                    Err(Error::ExecutionNotFound { .. } | Error::Interrupted { .. }) => {
                        tokio::task::yield_now().await;
                    }
                    settled => break settled?,
                }
            }
        }
    };
    Execution::new(engine, snapshot)
}

pub(crate) async fn start<O>(description: StartDescription) -> Result<Handle<O>, Error> {
    let (engine, mut request) = prepare(description, "start(..)").await?;
    loop {
        if request.is_other {
            // Another start's execution is not this one's to drive.
            return Ok(Handle::new(engine, request.id));
        }
        match begin(&engine, &request).await? {
            StartOutcome::Driving(mut driving) => {
                // Before the start is durable: a caller that drops its future meanwhile must not stop the driver.
                driving.detach();
                if let Err(refusal) = driving.started().await? {
                    refused(&engine, &mut request, refusal).await?;
                    continue;
                }
            }
            StartOutcome::Refused(refusal) => {
                refused(&engine, &mut request, refusal).await?;
                continue;
            }
            StartOutcome::Again => {
                tokio::task::yield_now().await;
                continue;
            }
            // It has to wait for others, not for a worker: nobody else may see to it.
            StartOutcome::Elsewhere if request.has_to_begin_in_turn() => {
                if !engine.kernel().workers.are_present() {
                    drive_in_turn(engine.kernel(), request.id.clone());
                }
            }
            StartOutcome::Elsewhere if !is_durable(&engine, &request.id).await? => {
                tokio::task::yield_now().await;
                continue;
            }
            StartOutcome::Elsewhere | StartOutcome::Settled(_) => {}
        }
        return Ok(Handle::new(engine, request.id));
    }
}

/// Whether the start that somebody else has under way is durable; waits for it while it is on its way.
async fn is_durable(engine: &Engine, id: &ExecutionId) -> Result<bool, Error> {
    if let Some(active) = engine.kernel().drivers.get(id) {
        active.begun().await;
    }
    Ok(engine.kernel().store.execution(id).await?.is_some())
}

/// What a start came to.
enum StartOutcome {
    /// The execution had settled already.
    Settled(Box<Snapshot>),
    /// This call drives it.
    Driving(Driving),
    /// Nothing was started.
    Refused(Refusal),
    /// Somebody else does.
    Elsewhere,
    /// Whoever did has let go of it: look again.
    Again,
}

/// Something is in the way of a start: that is an error, or the start is to be tried differently.
async fn refused(
    engine: &Engine,
    request: &mut CheckedStart,
    refusal: Refusal,
) -> Result<(), Error> {
    match refusal {
        // Somebody took the id in the meantime: look again.
        Refusal::Exists if request.is_named => Ok(()),
        Refusal::Exists => {
            request.id = ExecutionId::mint();
            Ok(())
        }
        Refusal::Duplicate(id) if request.refuses_duplicate => Err(Error::Duplicate {
            id,
            key: request
                .placement
                .dedup
                .as_deref()
                .map(dedup_key)
                .unwrap_or_default(),
        }),
        Refusal::Duplicate(id) => {
            request.take_instead(id);
            Ok(())
        }
        Refusal::Full(_) if request.waits_at_its_gate() => {
            request.is_queued = true;
            Ok(())
        }
        Refusal::Full(id) => match request.def.options.on_conflict {
            OnConflict::Reject | OnConflict::Queue => Err(Error::LimitReached {
                id: request.id.clone(),
                workflow: request.def.name.to_owned(),
                holder: id,
            }),
            OnConflict::Skip => {
                request.take_instead(id);
                Ok(())
            }
            OnConflict::Terminate => make_room(engine, request, id).await,
        },
    }
}

/// Ends the execution that is in the way.
async fn make_room(engine: &Engine, request: &CheckedStart, id: ExecutionId) -> Result<(), Error> {
    let reason = format!("execution `{}` takes its place", request.id);
    match engine.terminate(id, reason).await {
        Ok(()) | Err(Error::AlreadyFinished { .. }) => Ok(()),
        Err(error) => Err(error),
    }
}

async fn begin(engine: &Engine, request: &CheckedStart) -> Result<StartOutcome, Error> {
    if request.is_named
        && let Some(record) = engine.kernel().store.execution(&request.id).await?
    {
        return attach(engine, request, record).await;
    }
    if request.is_queued {
        return enqueue(engine, request).await;
    }
    let begin = Begin::New {
        input: request.input.clone(),
        placement: request.placement.clone(),
    };
    match launch(
        engine.kernel(),
        request.def,
        request.id.clone(),
        begin,
        None,
    ) {
        Ok(driving) => Ok(StartOutcome::Driving(driving)),
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
    request: &CheckedStart,
    record: ExecutionRecord,
) -> Result<StartOutcome, Error> {
    check_workflow(request.def, &record)?;
    check_input(engine, request, &record).await?;
    if record.status.is_finished() || record.status == Status::Paused {
        return Ok(StartOutcome::Settled(Box::new(
            engine.kernel().snapshot(record).await?,
        )));
    }
    // It has its turn when it has it, and one that sleeps is woken by a worker.
    let sleeps = record.owner.is_none() && engine.kernel().workers.see_to(&record);
    if record.status == Status::Pending || sleeps || request.is_for_worker {
        return Ok(StartOutcome::Elsewhere);
    }
    if engine.kernel().drivers.contains(&request.id) {
        return attach_to_active(engine, request).await;
    }
    let def = engine
        .kernel()
        .registry
        .for_execution(&record, Some(request.def))?;
    // Another caller in this process is about to drive it: look again.
    let Some(claiming) = engine.kernel().drivers.begin_claim(&request.id) else {
        tokio::task::yield_now().await;
        return Ok(StartOutcome::Again);
    };
    match claim(engine.kernel(), claiming).await {
        Ok(claimed) => {
            let begin = Begin::claimed(claimed, Intent::Recover);
            match launch(engine.kernel(), def, request.id.clone(), begin, None) {
                Ok(driving) => Ok(StartOutcome::Driving(driving)),
                Err(_) => Ok(StartOutcome::Again),
            }
        }
        Err(ClaimError::Held { .. }) => Ok(StartOutcome::Elsewhere),
        Err(ClaimError::NotFound) => Err(engine.kernel().not_found(&request.id)),
        Err(ClaimError::Failed(error)) => Err(error.into()),
    }
}

/// Waits until the driver in this process has an input to compare with, or is gone.
async fn attach_to_active(engine: &Engine, request: &CheckedStart) -> Result<StartOutcome, Error> {
    if engine.kernel().drivers.see_off(&request.id).await {
        return Ok(StartOutcome::Again);
    }
    if let Some(record) = engine.kernel().store.execution(&request.id).await? {
        check_workflow(request.def, &record)?;
        check_input(engine, request, &record).await?;
    }
    Ok(StartOutcome::Elsewhere)
}

async fn check_input(
    engine: &Engine,
    request: &CheckedStart,
    record: &ExecutionRecord,
) -> Result<(), Error> {
    if request.is_other {
        return Ok(());
    }
    let first = engine
        .kernel()
        .store
        .events(record.key, crate::id::EventSeq::FIRST, 1)
        .await?
        .pop();
    let Some(recorded) = first.and_then(|event| event.payload) else {
        return Ok(());
    };
    let given = &request.input;
    let is_same = |one: &Payload, other: &Payload| digest(one.as_str()) == digest(other.as_str());
    // Otherwise they are compared as the type reads them today: a field that has a default may be left out.
    let as_today =
        |input: &Payload| (request.def.reencode)(input).unwrap_or_else(|_| input.clone());
    let evolved = || {
        let recorded = as_today(&recorded);
        is_same(&recorded, given) || is_same(&recorded, &as_today(given))
    };
    if is_same(&recorded, given) || evolved() {
        return Ok(());
    }
    let (recorded, given) = differing(&recorded, given);
    Err(Error::InputMismatch {
        id: request.id.clone(),
        recorded,
        given,
    })
}

/// Creates an execution that waits for a worker.
async fn enqueue(engine: &Engine, request: &CheckedStart) -> Result<StartOutcome, Error> {
    let kernel = engine.kernel();
    let (new, event) = queued(request, kernel.clock.now());
    let commit = Commit {
        events: vec![event],
        ..Commit::to(Target::New(Box::new(new)))
    };
    match kernel.commit_waiting(commit).await {
        Ok(_) => Ok(StartOutcome::Elsewhere),
        Err(CommitError::Exists) => Ok(StartOutcome::Refused(Refusal::Exists)),
        Err(CommitError::Full(other)) => Ok(StartOutcome::Refused(Refusal::Full(other.holder))),
        Err(CommitError::Duplicate(other)) => {
            Ok(StartOutcome::Refused(Refusal::Duplicate(other.holder)))
        }
        Err(CommitError::Fenced | CommitError::Unread) => Ok(StartOutcome::Again),
        Err(CommitError::Failed(error)) => Err(error.into()),
        // The id is this start's own: if it is there, it was written.
        Err(CommitError::Unknown(error)) => match kernel.store.execution(&request.id).await? {
            Some(_) => Ok(StartOutcome::Elsewhere),
            None => Err(error.into()),
        },
    }
}

fn queued(request: &CheckedStart, now: Timestamp) -> (NewExecution, Event) {
    let mut placement = request.placement.clone();
    if let Some(gate) = &mut placement.gate {
        gate.refuses = request.def.options.on_conflict != OnConflict::Queue
            && request.def.options.lock.is_none();
    }
    let input = QueuedInput {
        value: request.input.clone(),
        is_unchecked: request.is_unchecked,
    };
    queued_start(request.def, request.id.clone(), input, placement, None, now)
}
