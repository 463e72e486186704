//! The engine's writes that others may have to hear of.
//!
//! A store announces what other processes write, not what this one commits. A commit that makes an execution ready,
//! now or at a later time, is therefore announced here to the workers of this engine: every commit and every release of
//! the engine goes through this module.

use std::sync::Arc;

use super::drivers::Claiming;
use crate::clock::Timestamp;
use crate::engine::kernel::Kernel;
use crate::engine::ownership::{Claimed, Ownership, shield};
use crate::event::FORMAT;
use crate::id::{Epoch, ExecutionKey};
use crate::store::{
    Commit, CommitError, Committed, Correction, NewExecution, StoreError, Target, is_to_come,
};

impl Kernel {
    /// Commits, and calls the workers where that makes something ready.
    pub(crate) fn commit(
        &self,
        commit: Commit,
    ) -> impl Future<Output = Result<Committed, CommitError>> + Send {
        let makes_ready = makes_ready(&commit);
        let asleep = Asleep::of(&commit);
        // A commit is large. It moves into the store's future here, so that the future of this call does not hold it, too.
        let writing = self.store.commit(commit);
        async move {
            let committed = writing.await;
            if let Some(asleep) = asleep.filter(|_| may_be_written(&committed)) {
                Box::pin(self.correct(asleep)).await;
            }
            if makes_ready && may_be_written(&committed) {
                self.workers.call();
            }
            committed
        }
    }

    /// Commits an execution that waits for a worker. The commit and the call run to their end even if this future is dropped:
    /// otherwise the workers would not hear of what is written after the caller has left.
    pub(crate) async fn commit_waiting(
        self: &Arc<Self>,
        commit: Commit,
    ) -> Result<Committed, CommitError> {
        let kernel = Arc::clone(self);
        shield(async move { kernel.commit(commit).await }).await
    }

    /// Sees to it that an execution is woken in time whose owner has reckoned by a clock that was set back before the commit was
    /// written: the store may have been told of that in between, so that this execution was not among those that slept.
    async fn correct(&self, asleep: Asleep) {
        let now = self.time.now();
        if !is_to_come(asleep.reckoned_at, now) {
            return;
        }
        let ahead = asleep.reckoned_at.since(now);
        let by = self.time.set_back_by_at_least(ahead).unwrap_or(ahead);
        let correction = Correction {
            wrong: asleep.ready_at,
            right: asleep.ready_at.before(by).max(now),
            now,
        };
        let Asleep { key, epoch, .. } = asleep;
        if let Err(error) = self.store.correct_ready_at(key, epoch, correction).await {
            tracing::warn!(%error, "an execution may sleep for longer by what the clock was set back");
        }
    }

    /// Commits what makes this engine the owner of executions: their start, or the start of children. The commit runs to
    /// its end even if this future is dropped; what it created is then released.
    pub(crate) async fn commit_owning(
        self: &Arc<Self>,
        commit: Commit,
    ) -> Result<Begun, CommitError> {
        let makes_ready = makes_ready(&commit);
        let is_start = matches!(&commit.target, Target::New(_));
        let children: Vec<NewExecution> = commit.children.iter().map(|c| c.new.clone()).collect();
        let claims = |child: &NewExecution| self.drivers.begin_claim(&child.id);
        let claiming: Vec<Option<Claiming>> = children.iter().map(claims).collect();
        let (kernel, store) = (Arc::downgrade(self), Arc::clone(&self.store));
        let start = async move {
            let committed = store.commit(commit).await;
            // Without an engine there is no owner any more, and no caller.
            let kernel = kernel.upgrade().ok_or(CommitError::Fenced)?;
            if makes_ready && may_be_written(&committed) {
                kernel.workers.call();
            }
            match committed {
                Ok(committed) => {
                    let newborn = children.into_iter().zip(claiming);
                    let born = committed.children.into_iter().zip(newborn);
                    Ok(Begun {
                        key: committed.key,
                        ownership: is_start
                            .then(|| Ownership::new(&kernel, committed.key, Epoch(1))),
                        children: born
                            .map(|(key, (new, claiming))| {
                                key.map(|key| own(&kernel, key, new, claiming))
                            })
                            .collect(),
                    })
                }
                Err(error) => {
                    if matches!(error, CommitError::Unknown(_)) {
                        kernel.ledger.suspect(&kernel);
                    }
                    Err(error)
                }
            }
        };
        shield(start).await
    }

    /// Gives an execution up without another change.
    pub(crate) async fn release(
        &self,
        key: ExecutionKey,
        epoch: Epoch,
        ready_at: Option<Timestamp>,
    ) -> Result<(), StoreError> {
        self.store.release(key, epoch, ready_at).await?;
        self.workers.call();
        Ok(())
    }
}

/// An execution that a commit puts to sleep until a time.
struct Asleep {
    key: ExecutionKey,
    epoch: Epoch,
    ready_at: Timestamp,
    reckoned_at: Timestamp,
}

impl Asleep {
    fn of(commit: &Commit) -> Option<Self> {
        let Target::Existing { key, epoch } = commit.target else {
            return None;
        };
        let release = commit.change.as_ref()?.release?;
        Some(Self {
            key,
            epoch,
            ready_at: release.ready_at?,
            reckoned_at: release.reckoned_at?,
        })
    }
}

/// What a commit began, and the ownership of it.
pub(crate) struct Begun {
    pub(crate) key: ExecutionKey,
    /// Of the execution that was started.
    pub(crate) ownership: Option<Ownership>,
    /// Each child.
    pub(crate) children: Vec<Born>,
}

/// A child that a commit created, or why it did not.
pub(crate) type Born = Result<Newborn, CommitError>;

/// A child that a commit created.
pub(crate) enum Newborn {
    /// This engine is to drive it at once.
    Owned(Box<Claimed>),
    /// It waits for its turn.
    Waits(ExecutionKey),
}

/// A child that was created, and the ownership of it where it has an owner.
fn own(
    kernel: &Arc<Kernel>,
    key: ExecutionKey,
    new: NewExecution,
    claiming: Option<Claiming>,
) -> Newborn {
    if new.owner.is_none() {
        return Newborn::Waits(key);
    }
    let record = new.into_record(key, FORMAT);
    Newborn::Owned(Box::new(Claimed::new(kernel, record, claiming)))
}

/// Whether an execution without an owner may be ready by this commit, or have a time at which it is.
fn makes_ready(commit: &Commit) -> bool {
    let is_queued = matches!(&commit.target, Target::New(new) if new.owner.is_none())
        || commit
            .children
            .iter()
            .any(|child| child.new.owner.is_none());
    let release = commit.change.as_ref().and_then(|change| change.release);
    is_queued
        || release.is_some_and(|release| release.ready_at.is_some())
        || !commit.outbox.is_empty()
}

fn may_be_written(committed: &Result<Committed, CommitError>) -> bool {
    matches!(committed, Ok(_) | Err(CommitError::Unknown(_)))
}
