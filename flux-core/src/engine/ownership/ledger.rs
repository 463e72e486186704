//! What this engine owns, and what it has dropped and the store does not know of yet.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, Weak};
use std::time::Duration;

use tokio::sync::Notify;

use super::audit::{AUDIT_SOON, Audit, AuditReason};
use crate::engine::kernel::Kernel;
use crate::id::{Epoch, ExecutionKey};
use crate::store::StoreError;
use crate::sync::lock;

/// The first wait after a release that failed; it doubles.
const FIRST_WAIT: Duration = Duration::from_millis(20);
const LONGEST_WAIT: Duration = Duration::from_secs(1);

/// The ownerships of one engine.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    entries: Mutex<Entries>,
    settled: Notify,
    adopted: AtomicU64,
}

#[derive(Debug, Default)]
struct Entries {
    /// Values that are alive: a driver, or a claim on its way to one.
    held: BTreeSet<(ExecutionKey, Epoch)>,
    /// Values that were dropped: the store is to be told.
    strays: BTreeMap<ExecutionKey, Epoch>,
    /// A store call failed, and may have made this engine the owner of something.
    is_suspicious: bool,
    is_settling: bool,
}

/// What the settling task does next.
enum SettlingStep {
    Release(ExecutionKey, Epoch),
    Audit,
    Done,
}

impl Ledger {
    fn entries(&self) -> MutexGuard<'_, Entries> {
        lock(&self.entries)
    }

    pub(super) fn enter(&self, key: ExecutionKey, epoch: Epoch) {
        self.entries().held.insert((key, epoch));
    }

    pub(super) fn leave(&self, key: ExecutionKey, epoch: Epoch) {
        self.entries().held.remove(&(key, epoch));
    }

    /// An ownership was dropped: the store is told in the background.
    pub(super) fn stray(&self, kernel: &Arc<Kernel>, key: ExecutionKey, epoch: Epoch) {
        {
            let mut entries = self.entries();
            entries.held.remove(&(key, epoch));
            // Of two epochs the later one is this engine's.
            let stray = entries.strays.entry(key).or_insert(epoch);
            *stray = (*stray).max(epoch);
        }
        self.ensure_settling(kernel);
    }

    /// Whether a value of this process accounts for an execution that the store says it owns.
    pub(super) fn accounts_for(&self, key: ExecutionKey, epoch: Epoch) -> bool {
        let entries = self.entries();
        entries.held.contains(&(key, epoch)) || entries.strays.contains_key(&key)
    }

    /// A store call failed, and may have made this engine the owner of something: an audit tells.
    pub(crate) fn suspect(&self, kernel: &Arc<Kernel>) {
        self.entries().is_suspicious = true;
        self.ensure_settling(kernel);
    }

    /// Whether an audit after a failed call is still to come.
    pub(super) fn is_suspicious(&self) -> bool {
        self.entries().is_suspicious
    }

    pub(super) fn count_adopted(&self) {
        self.adopted.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn adopted(&self) -> u64 {
        self.adopted.load(Ordering::Relaxed)
    }

    /// Sees to it that strays are released, on the runtime of the caller. One that ended took its task along.
    pub(crate) fn ensure_settling(&self, kernel: &Arc<Kernel>) {
        let Ok(runtime) = tokio::runtime::Handle::try_current() else {
            return;
        };
        let mut entries = self.entries();
        let has_work = entries.is_suspicious || !entries.strays.is_empty();
        if !has_work || std::mem::replace(&mut entries.is_settling, true) {
            return;
        }
        drop(entries);
        let settling = Settling {
            kernel: Arc::downgrade(kernel),
            is_done: false,
        };
        drop(runtime.spawn(settle(settling)));
    }

    /// What is to be done next. Nothing ends the settling under the same lock, so that no stray is overlooked.
    fn next_step(&self) -> SettlingStep {
        let mut entries = self.entries();
        if let Some((key, epoch)) = entries.strays.first_key_value() {
            return SettlingStep::Release(*key, *epoch);
        }
        self.settled.notify_waiters();
        if std::mem::take(&mut entries.is_suspicious) {
            return SettlingStep::Audit;
        }
        entries.is_settling = false;
        SettlingStep::Done
    }

    fn released(&self, key: ExecutionKey, epoch: Epoch) {
        let mut entries = self.entries();
        if entries.strays.get(&key) == Some(&epoch) {
            entries.strays.remove(&key);
        }
    }
}

/// The settling task's hold on its engine. Dropped before the work is done, as with its runtime, it lets another task
/// take over.
struct Settling {
    kernel: Weak<Kernel>,
    is_done: bool,
}

impl Drop for Settling {
    fn drop(&mut self) {
        if let Some(kernel) = self.kernel.upgrade().filter(|_| !self.is_done) {
            kernel.ledger.entries().is_settling = false;
        }
    }
}

/// Releases strays until there are none. An engine that is gone owns nothing: its registration went with it.
async fn settle(mut settling: Settling) {
    let mut wait = FIRST_WAIT;
    let mut audit = Audit::new(AuditReason::Suspicion);
    while let Some(kernel) = settling.kernel.upgrade() {
        let (outcome, next_wait) = match kernel.ledger.next_step() {
            SettlingStep::Done => {
                settling.is_done = true;
                return;
            }
            SettlingStep::Release(key, epoch) => (release(&kernel, key, epoch).await, wait),
            SettlingStep::Audit => (look(&kernel, &mut audit).await, AUDIT_SOON),
        };
        drop(kernel);
        match outcome {
            Ok(Rested::No) => wait = FIRST_WAIT,
            Ok(Rested::Yes) => tokio::time::sleep(next_wait).await,
            Err(error) => {
                tracing::debug!(%error, "executions are still to be released");
                tokio::time::sleep(wait).await;
                wait = (wait * 2).min(LONGEST_WAIT);
            }
        }
    }
}

/// Whether a step is to be followed by a wait.
enum Rested {
    No,
    Yes,
}

async fn release(
    kernel: &Arc<Kernel>,
    key: ExecutionKey,
    epoch: Epoch,
) -> Result<Rested, StoreError> {
    let now = kernel.clock.now();
    kernel.release(key, epoch, Some(now)).await?;
    kernel.ledger.released(key, epoch);
    Ok(Rested::No)
}

/// One look of an audit; another follows until nothing is left over.
async fn look(kernel: &Arc<Kernel>, audit: &mut Audit) -> Result<Rested, StoreError> {
    let looked = audit.look(kernel).await;
    if looked.is_err() || audit.has_suspects() {
        kernel.ledger.entries().is_suspicious = true;
    }
    looked.map(|()| Rested::Yes)
}

/// Waits until every stray is released, but no longer than `limit`.
pub(crate) async fn settled(kernel: &Arc<Kernel>, limit: Duration) {
    let all = async {
        loop {
            let settled = kernel.ledger.settled.notified();
            kernel.ledger.ensure_settling(kernel);
            if kernel.ledger.entries().strays.is_empty() {
                return;
            }
            settled.await;
        }
    };
    if tokio::time::timeout(limit, all).await.is_err() {
        tracing::warn!(
            "executions could not be released in time; that is tried until the process ends"
        );
    }
}
