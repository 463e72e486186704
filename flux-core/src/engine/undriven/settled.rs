//! Waiting for an execution that somebody else drives, or nobody yet.

use std::pin::pin;
use std::time::Duration;

use futures::future::{Either, select};
use tokio::time::Instant;

use crate::engine::kernel::Kernel;
use crate::engine::kernel::pausing::waits_at;
use crate::engine::kernel::waiters::{PACE, Waiter};
use crate::error::Error;
use crate::execution::{PausePoint, Snapshot, Status, Waiting};
use crate::id::{ExecutionId, WorkerId};
use crate::store::{ExecutionRecord, MessageKind, StoreError};

/// How long what is ready may be left alone, with nobody there to take it, before whoever waits for it is told.
const HANDOVER: Duration = Duration::from_secs(10);

/// How often one who waits looks whether the owner in another process still lives.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// What one who waits knows of an owner that is lost.
#[derive(Default)]
struct Absence {
    looked: Option<Instant>,
    since: Option<(WorkerId, Instant)>,
}

/// Waits until an execution has finished or paused, whoever drives it.
pub(crate) async fn wait_settled(kernel: &Kernel, id: &ExecutionId) -> Result<Snapshot, Error> {
    let waiter = Waiter::new(&kernel.waiters, id);
    let mut absence = Absence::default();
    loop {
        let rung = waiter.rung();
        if let Some(active) = kernel.drivers.get(id) {
            match active.settled().await {
                Some(Ok(snapshot)) if !is_settled(snapshot.record.status) => {}
                // Gone, or it goes on with its new owner.
                None | Some(Err(Error::TakenOver { .. })) => {}
                Some(settled) => return settled,
            }
            continue;
        }
        // From before the look on, so that nothing is missed.
        let changed = kernel.store.changed();
        let pace = kernel.waiters.pace();
        let record = kernel.record(id).await?;
        if is_settled(record.status) && !is_about_to_go_on(kernel, &record).await? {
            return Ok(kernel.snapshot(record).await?);
        }
        if kernel.drivers.contains(id) {
            continue;
        }
        if let Some(error) = kernel
            .waiters
            .given_up(id)
            .filter(|_| record.owner.is_none())
        {
            return Err(error);
        }
        if is_stranded(kernel, &record, &mut absence).await? {
            return Err(Error::Interrupted { id: id.clone() });
        }
        // What another engine of this process commits is no news of the store.
        let is_announced = record.owner.is_none();
        let news = async {
            if is_announced {
                // That nobody comes is no news.
                let patience = if kernel.workers.see_to(&record) {
                    Duration::MAX
                } else {
                    HANDOVER
                };
                let _ = tokio::time::timeout(patience, changed).await;
                tokio::time::sleep(pace).await;
            } else {
                tokio::time::sleep(pace.max(PACE)).await;
            }
        };
        if let Either::Left(_) = select(pin!(rung), pin!(news)).await {
            // Whoever rang is at work or has just ended it.
        }
    }
}

fn is_settled(status: Status) -> bool {
    status.is_finished() || status == Status::Paused
}

/// Whether it stands at a pause point only because nobody has read yet that it is answered, and somebody may.
async fn is_about_to_go_on(kernel: &Kernel, record: &ExecutionRecord) -> Result<bool, Error> {
    if record.status != Status::Paused || record.hold.is_some() {
        return Ok(false);
    }
    if !kernel.workers.see_to(record) && !has_colleagues(kernel).await? {
        return Ok(false);
    }
    for point in Waiting::read(record.waiting.as_ref()).pauses {
        if is_being_answered(kernel, &point).await? {
            return Ok(true);
        }
    }
    Ok(false)
}

/// The answer lies in the inbox, or a child has it and its parent does not know yet.
async fn is_being_answered(kernel: &Kernel, point: &PausePoint) -> Result<bool, Error> {
    let waiting = kernel.record(point.execution_id()).await?;
    let inbox = kernel.store.inbox(waiting.key).await?;
    if inbox
        .iter()
        .any(|message| message.kind == MessageKind::Resume)
    {
        return Ok(true);
    }
    // The answer and the message that brought it change places in one commit: so the row is read last.
    let waiting = kernel.record(point.execution_id()).await?;
    Ok(!waits_at(&waiting, point))
}

/// Whether it has no driver and will get none by itself: its driver ended with its runtime, gave it up, or died.
async fn is_stranded(
    kernel: &Kernel,
    record: &ExecutionRecord,
    absence: &mut Absence,
) -> Result<bool, StoreError> {
    let has_hope = record.status == Status::Pending
        || kernel.workers.see_to(record)
        || kernel.drivers.is_claiming(&record.id);
    if has_hope {
        return Ok(false);
    }
    if let Some(owner) = record.owner {
        let is_own = kernel.owner_if_any() == Some(owner);
        return Ok(is_own || is_left_behind(kernel, owner, absence).await?);
    }
    // A worker that was stopped in order may have left it to one that is about to start.
    let now = kernel.clock.now();
    let is_overdue = record
        .ready_at
        .is_some_and(|ready| ready.after(HANDOVER) <= now);
    Ok(is_overdue && !has_colleagues(kernel).await?)
}

/// Whether its owner is lost, and nobody has taken it over although there was time.
async fn is_left_behind(
    kernel: &Kernel,
    owner: WorkerId,
    absence: &mut Absence,
) -> Result<bool, StoreError> {
    let now = Instant::now();
    if absence.looked.is_some_and(|at| now - at < LOOK_EVERY) {
        return Ok(false);
    }
    absence.looked = Some(now);
    if !kernel.store.is_lost(owner).await? {
        absence.since = None;
        return Ok(false);
    }
    let since = absence.since.filter(|(lost, _)| *lost == owner);
    let (_, since) = *absence.since.insert(since.unwrap_or((owner, now)));
    Ok(now - since >= HANDOVER || !has_colleagues(kernel).await?)
}

/// Whether anybody else is there who might be a worker.
async fn has_colleagues(kernel: &Kernel) -> Result<bool, StoreError> {
    let workers = kernel.store.workers().await?;
    let mine = kernel.owner_if_any();
    Ok(workers
        .iter()
        .any(|worker| worker.is_alive && Some(worker.id) != mine))
}
