//! Lets an execution that nobody drives go on, without its code: off hold, or once more after it failed.

use std::sync::Arc;

use crate::engine::history::rewind_plan::{Failed, Rewindable, Rewound};
use crate::engine::kernel::Kernel;
use crate::engine::kernel::log::{About, LogLine};
use crate::engine::kernel::message::{ResumeRequest, is_of_hold};
use crate::engine::ownership::{Claimed, claim_or_refuse};
use crate::error::Error;
use crate::event::{Event, EventKind, FORMAT};
use crate::execution::{Status, Waiting};
use crate::id::{EventSeq, ExecutionId};
use crate::payload::Payload;
use crate::store::{
    Change, Commit, CommitError, ExecutionRecord, MessageKind, NewMessage, Release, StoreError,
    Target,
};

/// Takes an execution off hold and leaves it to a worker, whatever was asked about holds before. `false` where
/// somebody was faster: look again.
pub(crate) async fn take_off_hold(kernel: &Arc<Kernel>, id: &ExecutionId) -> Result<bool, Error> {
    let claimed = claim_or_refuse(kernel, id).await?;
    let record = &claimed.record;
    let inbox = kernel.store.inbox(record.key).await?;
    let consumed = inbox.iter().filter(|message| is_of_hold(message));
    let commit = Commit {
        change: Some(off_hold(kernel, record)),
        consumed: consumed.map(|message| message.id).collect(),
        ..Commit::to(target(record))
    };
    leave_to_worker(kernel, claimed, commit).await
}

fn off_hold(kernel: &Kernel, record: &ExecutionRecord) -> Change {
    let waits_at_none = Waiting::read(record.waiting.as_ref()).pauses.is_empty();
    let status = match record.status {
        Status::Paused if waits_at_none => Status::Running,
        status => status,
    };
    Change {
        status,
        hold: None,
        release: Some(at_once(kernel)),
        // It continues when a worker has taken it up: until then the obstacle is the same.
        ..record.unchanged()
    }
}

/// Opens a failed execution again, and leaves it to a worker to try again what failed. `false` where somebody was
/// faster: look again.
pub(crate) async fn reopen(kernel: &Arc<Kernel>, seen: &ExecutionRecord) -> Result<bool, Error> {
    if seen.format > FORMAT {
        return Err(Error::FormatTooNew {
            id: seen.id.clone(),
            found: seen.format,
            supported: FORMAT,
        });
    }
    let claimed = claim_or_refuse(kernel, &seen.id).await?;
    if claimed.record.status != Status::Failed {
        claimed.give_back().await;
        return Ok(false);
    }
    match rewound(kernel, &claimed.record).await {
        Ok(rewound) => {
            let commit = reopening(kernel, &claimed.record, rewound);
            leave_to_worker(kernel, claimed, commit).await
        }
        Err(error) => {
            claimed.give_back().await;
            Err(error)
        }
    }
}

/// The rewind that lets a failed execution try again.
async fn rewound(kernel: &Kernel, record: &ExecutionRecord) -> Result<Rewound, Error> {
    let failed = Failed::read(&kernel.store, record).await?;
    let failed = failed.ok_or_else(|| unreadable(kernel, record))?;
    let seq = failed.last.seq.next();
    if seq >= EventSeq::MAX {
        return Err(Error::HistoryTooLong {
            id: record.id.clone(),
            events: seq.get(),
        });
    }
    let event = Event {
        seq,
        at: kernel.clock.now().max(failed.last.at),
        kind: EventKind::Rewound,
        refers: None,
        name: None,
        payload: None,
        meta: None,
    };
    let plan = failed.plan();
    let rewindable = Rewindable {
        base: record.base,
        rewind: failed.rewind,
        first_delivery: None,
        input: failed.input.as_ref(),
        workflow: &record.workflow,
    };
    Ok(plan.carry_out(event, rewindable))
}

fn unreadable(kernel: &Kernel, record: &ExecutionRecord) -> Error {
    Error::Store(StoreError {
        store: kernel.store.describe(),
        action: format!("read how execution `{}` failed", record.id),
        reason: "its last event is no failure that this Flux can read".to_owned(),
        source: None,
    })
}

/// One commit: the rewind, the row, and the message that tells its next driver that nothing has been begun since.
fn reopening(kernel: &Kernel, record: &ExecutionRecord, rewound: Rewound) -> Commit {
    let rewind = rewound.rewind.as_ref().map(|rewind| rewind.seq);
    let request = ResumeRequest::Retry {
        rewound: rewound.event.seq,
    };
    let message = NewMessage {
        kind: MessageKind::Resume,
        name: "retry".into(),
        payload: Payload::encode(&request).unwrap_or_else(|_| Payload::null()),
        dedup: None,
        at: kernel.clock.now(),
    };
    Commit {
        change: Some(Change {
            status: Status::Running,
            attempt: record.attempt + 1,
            finished_at: None,
            wake_at: None,
            waiting: None,
            base: rewound.base,
            rewound: rewind,
            hold: None,
            obstacle: None,
            release: Some(at_once(kernel)),
        }),
        events: vec![rewound.event],
        outbox: vec![(record.id.clone(), message)],
        ..Commit::to(target(record))
    }
}

fn at_once(kernel: &Kernel) -> Release {
    Release {
        ready_at: Some(kernel.clock.now()),
        ..Release::default()
    }
}

/// Commits what lets the execution go on, and calls the workers.
async fn leave_to_worker(
    kernel: &Arc<Kernel>,
    claimed: Claimed,
    commit: Commit,
) -> Result<bool, Error> {
    let (id, key, epoch) = (
        claimed.record.id.clone(),
        claimed.record.key,
        claimed.record.epoch,
    );
    match kernel.commit(commit).await {
        Ok(_) => {
            LogLine::Resumed.log(About::of(&claimed.record));
            claimed.ownership.discharge();
        }
        Err(CommitError::Fenced) => return Ok(false),
        Err(CommitError::Unknown(error)) => {
            if !is_written(kernel, &claimed.record).await? {
                claimed.give_back().await;
                return Err(error.into());
            }
            claimed.ownership.discharge();
        }
        Err(error) => {
            let record = claimed.record.clone();
            claimed.give_back().await;
            return Err(refused(record, error));
        }
    }
    // The commits of a store are no news to those who share it; a release is.
    if let Err(error) = kernel.release(key, epoch, Some(kernel.clock.now())).await {
        tracing::debug!(execution_id = %id, %error, "workers find out later");
    }
    kernel.subscribers.notify(&id);
    kernel.waiters.ring(&id);
    Ok(true)
}

/// Reads whether a commit of unknown outcome happened: it would have given the execution up.
async fn is_written(kernel: &Kernel, record: &ExecutionRecord) -> Result<bool, Error> {
    let found = kernel.record(&record.id).await?;
    Ok(found.epoch != record.epoch || found.owner.is_none())
}

/// Why nothing was written.
fn refused(record: ExecutionRecord, error: CommitError) -> Error {
    match error {
        CommitError::Full(other) => Error::LimitReached {
            id: record.id,
            workflow: record.workflow.to_string(),
            holder: other.holder,
        },
        CommitError::Failed(error) => error.into(),
        error => Error::Configuration(error.to_string()),
    }
}

fn target(record: &ExecutionRecord) -> Target {
    Target::Existing {
        key: record.key,
        epoch: record.epoch,
    }
}
