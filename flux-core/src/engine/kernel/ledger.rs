//! What this engine owns, and what it has dropped and the store does not know of yet.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard};

use tokio::sync::Notify;
use tokio::sync::futures::Notified;

use crate::id::{Epoch, ExecutionKey};
use crate::sync::lock;

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
#[derive(Debug)]
pub(crate) enum SettlingStep {
    Release(ExecutionKey, Epoch),
    Audit,
    Done,
}

impl Ledger {
    fn entries(&self) -> MutexGuard<'_, Entries> {
        lock(&self.entries)
    }

    pub(crate) fn enter(&self, key: ExecutionKey, epoch: Epoch) {
        self.entries().held.insert((key, epoch));
    }

    pub(crate) fn leave(&self, key: ExecutionKey, epoch: Epoch) {
        self.entries().held.remove(&(key, epoch));
    }

    /// An ownership was dropped: the store is to be told.
    pub(crate) fn stray(&self, key: ExecutionKey, epoch: Epoch) {
        let mut entries = self.entries();
        entries.held.remove(&(key, epoch));
        // Of two epochs the later one is this engine's.
        let stray = entries.strays.entry(key).or_insert(epoch);
        *stray = (*stray).max(epoch);
    }

    /// Whether a value of this process accounts for an execution that the store says it owns.
    pub(crate) fn accounts_for(&self, key: ExecutionKey, epoch: Epoch) -> bool {
        let entries = self.entries();
        entries.held.contains(&(key, epoch)) || entries.strays.contains_key(&key)
    }

    /// A store call failed, and may have made this engine the owner of something: an audit tells.
    pub(crate) fn suspect(&self) {
        self.entries().is_suspicious = true;
    }

    /// Whether an audit after a failed call is still to come.
    pub(crate) fn is_suspicious(&self) -> bool {
        self.entries().is_suspicious
    }

    pub(crate) fn count_adopted(&self) {
        self.adopted.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn adopted(&self) -> u64 {
        self.adopted.load(Ordering::Relaxed)
    }

    /// Whether there is something to settle that nothing settles yet: then the caller is to.
    pub(crate) fn begin_settling(&self) -> bool {
        let mut entries = self.entries();
        let has_work = entries.is_suspicious || !entries.strays.is_empty();
        has_work && !std::mem::replace(&mut entries.is_settling, true)
    }

    /// Whoever settles has stopped before everything was settled.
    pub(crate) fn stop_settling(&self) {
        self.entries().is_settling = false;
    }

    pub(crate) fn has_strays(&self) -> bool {
        !self.entries().strays.is_empty()
    }

    /// Resolves when no strays are left, from the call on.
    pub(crate) fn settled(&self) -> Notified<'_> {
        self.settled.notified()
    }

    /// What is to be done next. Nothing ends the settling under the same lock, so that no stray is overlooked.
    pub(crate) fn next_step(&self) -> SettlingStep {
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

    /// The store has heard of it.
    pub(crate) fn released(&self, key: ExecutionKey, epoch: Epoch) {
        let mut entries = self.entries();
        if entries.strays.get(&key) == Some(&epoch) {
            entries.strays.remove(&key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: ExecutionKey = ExecutionKey(7);

    #[test]
    fn what_was_dropped_is_to_be_released_until_the_store_has_heard_it() {
        let ledger = Ledger::default();
        ledger.enter(KEY, Epoch(1));
        assert!(!ledger.begin_settling(), "nothing was dropped");
        ledger.stray(KEY, Epoch(1));
        assert!(ledger.begin_settling());
        assert!(!ledger.begin_settling(), "one task settles");
        for _ in 0..2 {
            let step = ledger.next_step();
            assert!(matches!(step, SettlingStep::Release(KEY, Epoch(1))));
            assert!(ledger.accounts_for(KEY, Epoch(1)));
        }
        ledger.released(KEY, Epoch(1));
        assert!(!ledger.accounts_for(KEY, Epoch(1)));
        assert!(matches!(ledger.next_step(), SettlingStep::Done));
        ledger.stray(KEY, Epoch(2));
        assert!(ledger.begin_settling(), "another task settles");
    }

    #[test]
    fn of_two_epochs_that_were_dropped_the_later_one_is_released() {
        let ledger = Ledger::default();
        ledger.stray(KEY, Epoch(2));
        ledger.stray(KEY, Epoch(1));
        ledger.released(KEY, Epoch(1));
        let step = ledger.next_step();
        assert!(matches!(step, SettlingStep::Release(KEY, Epoch(2))));
    }

    #[test]
    fn a_suspicion_is_settled_by_one_audit_after_all_releases() {
        let ledger = Ledger::default();
        ledger.suspect();
        ledger.stray(KEY, Epoch(1));
        assert!(matches!(ledger.next_step(), SettlingStep::Release(..)));
        ledger.released(KEY, Epoch(1));
        assert!(matches!(ledger.next_step(), SettlingStep::Audit));
        assert!(matches!(ledger.next_step(), SettlingStep::Done));
    }
}
