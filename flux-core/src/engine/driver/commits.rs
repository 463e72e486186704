//! The way into the store: what a driver commits under its ownership of the execution.

use super::core::Core;
use super::halt::Halt;
use crate::clock::Timestamp;
use crate::engine::kernel::Kernel;
use crate::engine::kernel::progress::Refusal;
use crate::engine::ownership::Born;
use crate::engine::ownership::{Ownership, commit_owning};
use crate::error::Error;
use crate::event::Event;
use crate::id::{Epoch, EventSeq, ExecutionKey};
use crate::status::Status;
use crate::store::{Change, Commit, CommitError, ExecutionRecord, Target, Transaction};

use std::sync::Arc;

/// Commits for one execution.
pub(super) struct Commits {
    kernel: Arc<Kernel>,
    /// From the claim, or the commit of the start, until a commit or a release gives the execution up. Wherever the
    /// driver is dropped before, that leads to a release.
    ownership: Option<Ownership>,
}

impl Commits {
    pub(super) fn new(kernel: &Arc<Kernel>) -> Self {
        Self {
            kernel: Arc::clone(kernel),
            ownership: None,
        }
    }

    /// The execution was claimed.
    pub(super) fn own(&mut self, ownership: Ownership) {
        self.ownership = Some(ownership);
    }

    /// Gives the execution up as it is, so that somebody else may try.
    pub(super) async fn release(&mut self, ready_at: Option<Timestamp>) {
        if let Some(ownership) = self.ownership.take() {
            ownership.release(ready_at).await;
        }
    }

    /// Keeps beside the row why the execution cannot go on, for whoever asks.
    pub(super) async fn note_obstacle(&mut self, core: &mut Core, error: &Halt) {
        if let Halt::Error(error) = error
            && let Some((key, epoch)) = core.row.epoch()
        {
            self.kernel.note_obstacle(key, epoch, error).await;
        }
    }

    /// There is nothing to release: it was given up, or is another's.
    pub(super) fn discharge(&mut self) {
        if let Some(ownership) = self.ownership.take() {
            ownership.discharge();
        }
    }

    /// Whether the row has to be written so that it says this.
    pub(super) fn is_change(&self, core: &Core, standing: &Change) -> bool {
        // One that is given up: nothing else may have changed since it was claimed.
        let is_released = standing.release.is_some() && self.ownership.is_some();
        is_released || core.row.differs(standing)
    }

    /// Whether the last commit left the execution paused, and gave it up.
    pub(super) fn is_paused(&self, core: &Core) -> bool {
        let is_paused = |record: &ExecutionRecord| record.status == Status::Paused;
        self.ownership.is_none() && core.row.record.as_ref().is_some_and(is_paused)
    }

    /// Writes a commit, which begins executions where it has children or creates its own; what became of the children.
    pub(super) async fn write(
        &mut self,
        core: &mut Core,
        commit: Commit,
        last: Option<EventSeq>,
    ) -> Result<Option<Vec<Born>>, Halt> {
        let change = commit.change.clone();
        let sent = if core.row.record.is_some() && commit.children.is_empty() {
            let written = self.kernel.commit(commit).await;
            written.map(|committed| (committed.key, None))
        } else {
            Box::pin(self.write_owning(commit)).await
        };
        let (key, born) = match sent {
            Ok(sent) => sent,
            Err(error) => (Box::pin(self.after_refusal(core, error, last)).await?, None),
        };
        if core.row.record.is_none() && self.ownership.is_none() {
            // Nobody acknowledged the start, and it was found to be written.
            self.ownership = Some(Ownership::new(&self.kernel, key, Epoch(1)));
        }
        self.committed(core, key, change);
        Ok(born)
    }

    /// Commits what begins executions, so that what it begins is never lost.
    async fn write_owning(
        &mut self,
        commit: Commit,
    ) -> Result<(ExecutionKey, Option<Vec<Born>>), CommitError> {
        let begun = commit_owning(&self.kernel, commit).await?;
        if begun.ownership.is_some() {
            self.ownership = begun.ownership;
        }
        Ok((begun.key, Some(begun.children)))
    }

    /// What the commit is to append to, or create.
    pub(super) fn target(&self, core: &Core) -> Target {
        let owner = self.kernel.owner_if_any();
        core.row.target(&core.id, core.def, owner)
    }

    /// Remembers what is now written, and that the execution is given up where it was.
    fn committed(&mut self, core: &mut Core, key: ExecutionKey, change: Option<Change>) {
        let is_released = change
            .as_ref()
            .is_some_and(|change| change.release.is_some());
        let (id, def, owner) = (&core.id, core.def, self.kernel.owner_if_any());
        core.row
            .committed(key, change, |row| row.new_execution(id, def, owner));
        if is_released {
            self.discharge();
        }
    }

    /// A commit that was not acknowledged: what is to be done about it.
    async fn after_refusal(
        &mut self,
        core: &mut Core,
        error: CommitError,
        last: Option<EventSeq>,
    ) -> Result<ExecutionKey, Halt> {
        match error {
            CommitError::Unread => Err(Halt::Unread),
            CommitError::Exists => Err(Halt::Refused(Refusal::Exists)),
            CommitError::Full(other) => Err(Halt::Refused(Refusal::Full(other.holder))),
            CommitError::Duplicate(other) => Err(Halt::Refused(Refusal::Duplicate(other.holder))),
            CommitError::Fenced => Err(Error::TakenOver {
                id: core.id.clone(),
            }
            .into()),
            CommitError::Failed(error) => Err(error.into()),
            CommitError::Unknown(error) => self
                .read_back(core, last)
                .await?
                .ok_or_else(|| error.into()),
        }
    }

    /// Nobody knows whether the commit happened: the history does.
    async fn read_back(
        &mut self,
        core: &mut Core,
        last: Option<EventSeq>,
    ) -> Result<Option<ExecutionKey>, Halt> {
        let store = &self.kernel.store;
        let Some(record) = store.execution(&core.id).await? else {
            return Ok(None);
        };
        if record.epoch != core.row.present_epoch() {
            return Err(Error::TakenOver {
                id: core.id.clone(),
            }
            .into());
        }
        let written = store.last_event(record.key).await?.map(|event| event.seq);
        Ok((last.is_some() && written >= last).then_some(record.key))
    }

    /// Runs statements in a commit of their own; the event that records what they came to.
    pub(super) async fn write_alone(
        &mut self,
        core: &mut Core,
        transaction: Transaction,
    ) -> Result<Option<Event>, Halt> {
        let last = Some(transaction.completed.seq);
        let commit = Commit {
            transaction: Some(transaction),
            ..Commit::to(self.target(core))
        };
        let event = match self.kernel.commit(commit).await {
            Ok(committed) => committed.transaction,
            Err(error) => {
                Box::pin(self.after_refusal(core, error, last)).await?;
                let key = core.row.epoch().map(|(key, _)| key);
                match key {
                    Some(key) => self.kernel.store.last_event(key).await?,
                    None => None,
                }
            }
        };
        if let Some(event) = &event {
            core.limits.active.observe(event);
        }
        self.kernel.subscribers.notify(&core.id);
        Ok(event)
    }
}
