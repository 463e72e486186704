//! Puts an execution on hold that has no driver, or whose driver can do nothing more.

use std::sync::Arc;

use crate::engine::kernel::Kernel;
use crate::engine::kernel::log::{About, LogLine};
use crate::engine::kernel::message::{is_go_on, is_of_hold, newest_of_hold};
use crate::engine::ownership::claim;
use crate::error::Error;
use crate::execution::{Snapshot, Status};
use crate::id::{Epoch, ExecutionId};
use crate::store::{
    Change, ClaimError, Commit, CommitError, ExecutionRecord, Message, MessageKind, Release, Target,
};

/// Nobody here drives it. If nobody else does, it is put on hold at once; otherwise its driver reads the message.
pub(crate) async fn hold_idle(
    kernel: &Arc<Kernel>,
    id: &ExecutionId,
    reason: &str,
) -> Result<(), Error> {
    let Some(claiming) = kernel.drivers.begin_claim(id) else {
        return Ok(());
    };
    let claimed = match claim(kernel, claiming).await {
        Ok(claimed) => claimed,
        Err(ClaimError::Held { .. }) => return Ok(()),
        Err(ClaimError::NotFound) => return Err(kernel.not_found(id)),
        Err(ClaimError::Failed(error)) => return Err(error.into()),
    };
    let record = &claimed.record;
    let inbox = kernel.store.inbox(record.key).await?;
    if newest_of_hold(&inbox).is_some_and(is_go_on) {
        // Somebody has taken it back since.
        claimed.give_back().await;
        return Ok(());
    }
    let consumed = inbox
        .iter()
        .filter(|message| is_of_hold(message))
        .map(|message| message.id)
        .collect();
    let commit = Commit {
        change: Some(held(record, reason.into(), &inbox)),
        consumed,
        ..Commit::to(Target::Existing {
            key: record.key,
            epoch: record.epoch,
        })
    };
    match kernel.commit(commit).await {
        Ok(_) => {
            let reason = reason.into();
            LogLine::Held { reason }.log(About::of(&claimed.record));
            claimed.ownership.discharge();
            Ok(())
        }
        // Another owner took it over in between, and reads the message.
        Err(CommitError::Fenced) => Ok(()),
        Err(CommitError::Failed(error) | CommitError::Unknown(error)) => Err(error.into()),
        Err(error) => Err(Error::Configuration(error.to_string())),
    }
}

/// Puts an execution that this engine owns on hold, because its driver panicked. Nothing that was sent before wakes
/// it, or the same driver would meet the same again.
pub(crate) async fn hold_faulty(
    kernel: &Kernel,
    id: &ExecutionId,
    epoch: Epoch,
    reason: &str,
) -> Result<Snapshot, Error> {
    let record = kernel.record(id).await?;
    if record.epoch != epoch {
        return Err(Error::TakenOver { id: id.clone() });
    }
    if record.status.is_finished() {
        return Ok(kernel.snapshot(record).await?);
    }
    let inbox = kernel.store.inbox(record.key).await?;
    let mut change = held(&record, reason.into(), &inbox);
    if let Some(release) = &mut change.release {
        release.ready_at = None;
    }
    let commit = Commit {
        change: Some(change),
        ..Commit::to(Target::Existing {
            key: record.key,
            epoch: record.epoch,
        })
    };
    match kernel.commit(commit).await {
        Ok(_) => LogLine::Held {
            reason: reason.into(),
        }
        .log(About::of(&record)),
        Err(CommitError::Fenced) => return Err(Error::TakenOver { id: id.clone() }),
        Err(CommitError::Failed(error) | CommitError::Unknown(error)) => {
            return Err(error.into());
        }
        Err(error) => return Err(Error::Configuration(error.to_string())),
    }
    let record = kernel.record(id).await?;
    Ok(kernel.snapshot(record).await?)
}

fn held(record: &ExecutionRecord, reason: Arc<str>, inbox: &[Message]) -> Change {
    let paused = inbox
        .iter()
        .rposition(|message| message.kind == MessageKind::Pause);
    // The latest command counts, but a termination is one that nothing takes back.
    let counts = |(place, message): &(usize, &Message)| {
        message.kind == MessageKind::Terminate || (message.kind.ends() && Some(*place) > paused)
    };
    let end = inbox.iter().enumerate().find(counts);
    let end = end.map(|(_, message)| message);
    Change {
        status: if record.status.is_finished() {
            record.status
        } else {
            Status::Paused
        },
        hold: (!record.status.is_finished()).then_some(reason),
        release: Some(Release {
            // Of what came before, only an end reaches it.
            ready_at: end.map(|message| message.at),
            seen: inbox.last().map(|message| message.id),
            ..Release::default()
        }),
        ..record.unchanged()
    }
}
