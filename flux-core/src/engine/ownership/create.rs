//! Commits that make this engine the owner of what they create.

use std::sync::Arc;

use super::settling::suspect;
use super::{Claimed, Ownership};
use crate::engine::kernel::Kernel;
use crate::engine::kernel::drivers::Claiming;
use crate::engine::kernel::shield::shield;
use crate::engine::kernel::write::{makes_ready, may_be_written};
use crate::event::FORMAT;
use crate::id::{Epoch, ExecutionKey};
use crate::store::{Commit, CommitError, NewExecution, Target};

/// Commits what makes this engine the owner of executions: their start, or the start of children. The commit runs to
/// its end even if this future is dropped; what it created is then released.
pub(crate) async fn commit_owning(
    kernel: &Arc<Kernel>,
    commit: Commit,
) -> Result<Begun, CommitError> {
    let makes_ready = makes_ready(&commit);
    let is_start = matches!(&commit.target, Target::New(_));
    let children: Vec<NewExecution> = commit.children.iter().map(|c| c.new.clone()).collect();
    let claims = |child: &NewExecution| kernel.drivers.begin_claim(&child.id);
    let claiming: Vec<Option<Claiming>> = children.iter().map(claims).collect();
    let (kernel, store) = (Arc::downgrade(kernel), Arc::clone(&kernel.store));
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
                    ownership: is_start.then(|| Ownership::new(&kernel, committed.key, Epoch(1))),
                    children: born
                        .map(|(key, (new, claiming))| {
                            key.map(|key| own(&kernel, key, new, claiming))
                        })
                        .collect(),
                })
            }
            Err(error) => {
                if matches!(error, CommitError::Unknown(_)) {
                    suspect(&kernel);
                }
                Err(error)
            }
        }
    };
    shield(start).await
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
