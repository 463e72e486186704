//! Ends an execution that nobody drives, without its code.

use std::sync::Arc;

use crate::engine::kernel::Kernel;
use crate::engine::kernel::log::{About, LogLine};
use crate::engine::kernel::message::{BY_PARENT, ChildOutcome, LastWord};
use crate::engine::ownership::claim_if_free;
use crate::error::Error;
use crate::event::{Doubt, EndedMeta, Event, EventKind, StartedMeta};
use crate::id::{EventSeq, ExecutionId};
use crate::payload::Payload;
use crate::policy::ChildPolicy;
use crate::status::Status;
use crate::store::{
    Change, Commit, CommitError, ExecutionRecord, Filter, Message, MessageId, MessageKind,
    NewMessage, Release, StoreError, Target,
};

/// How an execution is to end.
#[derive(Debug, Clone)]
pub(crate) struct Close {
    status: Status,
    /// Why, as JSON; nothing for a cancellation.
    reason: Option<Payload>,
    by_parent: bool,
    message: MessageId,
}

impl Close {
    /// Terminated, as a message asks.
    pub(crate) fn terminated(message: &Message) -> Self {
        Self {
            status: Status::Terminated,
            reason: Some(message.payload.clone()),
            by_parent: *message.name == *BY_PARENT,
            message: message.id,
        }
    }

    /// Cancelled, as a message asks.
    pub(crate) fn cancelled(message: &Message) -> Self {
        Self {
            status: Status::Cancelled,
            reason: None,
            by_parent: *message.name == *BY_PARENT,
            message: message.id,
        }
    }

    /// What the inbox of an execution that nobody drives asks for, if its code is not needed for it.
    pub(crate) fn wanted(record: &ExecutionRecord, inbox: &[Message]) -> Option<Self> {
        let find = |kind| inbox.iter().find(|message| message.kind == kind);
        if let Some(message) = find(MessageKind::Terminate) {
            return Some(Self::terminated(message));
        }
        // Code that has not begun has nothing to clean up.
        find(MessageKind::Cancel)
            .filter(|_| record.status == Status::Pending)
            .map(Self::cancelled)
    }

    fn line(&self) -> LogLine {
        match &self.reason {
            Some(reason) => LogLine::Terminated {
                reason: reason.decode().unwrap_or_default(),
            },
            None => LogLine::Cancelled,
        }
    }

    fn event(&self, seq: EventSeq, at: crate::clock::Timestamp, doubt: Doubt) -> Event {
        let kind = match self.status {
            Status::Terminated => EventKind::WorkflowTerminated,
            _ => EventKind::WorkflowCancelled,
        };
        let meta = EndedMeta {
            since: None,
            by_parent: self.by_parent,
            rolled_back: false,
            doubt,
        };
        Event {
            seq,
            at,
            kind,
            refers: None,
            name: None,
            payload: self.reason.clone(),
            meta: Payload::encode(&meta).ok(),
        }
    }

    /// What its parent is told.
    fn last_word(&self) -> ChildOutcome {
        match (&self.reason, self.by_parent) {
            (Some(reason), by_parent) => {
                ChildOutcome::terminated(reason.decode().unwrap_or_default(), by_parent)
            }
            (None, true) => ChildOutcome::CancelledByParent,
            (None, false) => ChildOutcome::Cancelled,
        }
    }
}

/// Ends an execution, and returns those whose inboxes tell of it. `None` where somebody else has it, or was faster: look again.
pub(crate) async fn close(
    kernel: &Arc<Kernel>,
    id: &ExecutionId,
    close: Close,
) -> Result<Option<Vec<ExecutionId>>, Error> {
    let Some(claimed) = claim_if_free(kernel, id).await? else {
        return Ok(None);
    };
    if claimed.record.status.is_finished() {
        claimed.ownership.release(None).await;
        return Ok(Some(Vec::new()));
    }
    let commit = closing(kernel, &claimed.record, &close).await?;
    let told: Vec<ExecutionId> = commit.outbox.iter().map(|(id, _)| id.clone()).collect();
    match kernel.commit(commit).await {
        Ok(_) => {
            close.line().log(About::of(&claimed.record));
            claimed.ownership.discharge();
        }
        Err(CommitError::Failed(error)) => {
            claimed.give_back().await;
            return Err(error.into());
        }
        // Whether it happened is seen at the next look; if not, it is released.
        Err(_) => return Ok(None),
    }
    kernel.subscribers.notify(id);
    kernel.waiters.ring(id);
    kernel.workers.call();
    Ok(Some(told))
}

/// The last commit of an execution.
async fn closing(
    kernel: &Kernel,
    record: &ExecutionRecord,
    close: &Close,
) -> Result<Commit, StoreError> {
    let last = kernel.store.last_event(record.key).await?;
    let has_begun = last.as_ref().is_some_and(|last| last.seq > EventSeq::FIRST);
    let doubt = Doubt {
        // Without its code it is not known which of its tasks may not run twice.
        unknown: has_begun
            .then(|| record.workflow.clone())
            .into_iter()
            .collect(),
        cut_off: Vec::new(),
    };
    let (seq, after) = last.map_or((EventSeq::FIRST, record.created_at), |last| {
        (last.seq.next(), last.at)
    });
    let now = kernel.clock.now();
    let at = now.max(after);
    // Who sleeps is ready from then on, by the clock, which may have been set back behind the history.
    let mut outbox = orders_to_children(kernel, record, now).await?;
    if let Some(parent) = &record.parent {
        let word = LastWord::new(record.epoch, close.last_word(), doubt.clone());
        let word = word.message(&record.id, now);
        outbox.extend(word.map(|word| (parent.clone(), word)));
    }
    Ok(Commit {
        events: vec![close.event(seq, at, doubt)],
        change: Some(Change {
            status: close.status,
            finished_at: Some(at),
            wake_at: None,
            waiting: None,
            hold: None,
            obstacle: None,
            release: Some(Release::default()),
            ..record.unchanged()
        }),
        consumed: vec![close.message],
        outbox,
        ..Commit::to(Target::Existing {
            key: record.key,
            epoch: record.epoch,
        })
    })
}

/// What its parent's code said of a child.
async fn policy_of(kernel: &Kernel, child: &ExecutionRecord) -> Result<ChildPolicy, StoreError> {
    let events = kernel.store.events(child.key, EventSeq::FIRST, 1).await?;
    let meta = events.first().map(Event::meta::<StartedMeta>);
    Ok(meta.unwrap_or_default().when_parent_ends)
}

/// What the children that have not ended are told.
async fn orders_to_children(
    kernel: &Kernel,
    record: &ExecutionRecord,
    at: crate::clock::Timestamp,
) -> Result<Vec<(ExecutionId, NewMessage)>, StoreError> {
    let mut orders = Vec::new();
    let mut before = None;
    loop {
        let filter = Filter {
            statuses: vec![Status::Pending, Status::Running, Status::Paused],
            parent: Some(record.id.clone()),
            before,
            ..Filter::default()
        };
        let children = kernel.store.executions(filter).await?;
        let Some(last) = children.last() else {
            return Ok(orders);
        };
        before = Some(last.key);
        for child in children {
            let policy = policy_of(kernel, &child).await?;
            orders.push((child.id, NewMessage::to_child(policy, at)));
        }
    }
}
