//! Gates and dedup keys: who is kept out by whom.

use super::{Entry, MemoryState};
use crate::id::ExecutionId;
use crate::status::Status;
use crate::store::{Change, CommitError, ExecutionRecord, Gate, InTheWay, NewExecution};

impl MemoryState {
    /// Whether a new execution may be created.
    pub(super) fn check_new(&self, new: &NewExecution) -> Result<(), CommitError> {
        if self.by_id.contains_key(&new.id) {
            return Err(CommitError::Exists);
        }
        let unfinished = |entry: &&Entry| !entry.record.status.is_finished();
        let twin = new.placement.dedup.as_ref().and_then(|dedup| {
            let mut all = self.executions.iter().filter(unfinished);
            all.find(|entry| entry.record.placement.dedup.as_ref() == Some(dedup))
        });
        if let Some(twin) = twin {
            return Err(CommitError::Duplicate(in_the_way(twin)));
        }
        let Some(gate) = &new.placement.gate else {
            return Ok(());
        };
        let is_to_run = new.owner.is_some();
        if !gate.refuses && !is_to_run {
            return Ok(());
        }
        let inside = self.inside(gate);
        let waiting = self.before(gate);
        // Nobody overtakes those who wait.
        let room = limit(gate).saturating_sub(inside.len());
        let enough = if is_to_run { 1 } else { room };
        if room > 0 && waiting.len() < enough {
            return Ok(());
        }
        match inside.first().or(waiting.first()) {
            Some(entry) => Err(CommitError::Full(in_the_way(entry))),
            None => Ok(()),
        }
    }

    /// One that has finished and is to go on has to find room, as any other.
    pub(super) fn check_reopening(
        &self,
        record: &ExecutionRecord,
        change: &Change,
    ) -> Result<(), CommitError> {
        let reopens = record.status.is_finished() && !change.status.is_finished();
        let Some(gate) = record.placement.gate.as_ref().filter(|_| reopens) else {
            return Ok(());
        };
        match self.inside(gate).first() {
            Some(inside) if !self.has_room(gate) => Err(CommitError::Full(in_the_way(inside))),
            _ => Ok(()),
        }
    }

    /// Whether one more may go in.
    pub(super) fn has_room(&self, gate: &Gate) -> bool {
        self.inside(gate).len() < limit(gate)
    }

    /// The oldest of those inside a gate that is full.
    pub(super) fn holder(&self, gate: &Gate) -> Option<ExecutionId> {
        let inside = self.inside(gate);
        let oldest = inside.first().filter(|_| inside.len() >= limit(gate))?;
        Some(oldest.record.id.clone())
    }

    fn inside(&self, gate: &Gate) -> Vec<&Entry> {
        let is_inside =
            |entry: &Entry| matches!(entry.record.status, Status::Running | Status::Paused);
        self.at_gate(gate, is_inside)
    }

    fn before(&self, gate: &Gate) -> Vec<&Entry> {
        let waits = |entry: &Entry| entry.record.status == Status::Pending && !entry.is_delayed;
        self.at_gate(gate, waits)
    }

    fn at_gate(&self, gate: &Gate, stands: impl Fn(&Entry) -> bool) -> Vec<&Entry> {
        let is_here = |entry: &&Entry| {
            let own = entry.record.placement.gate.as_ref();
            own.is_some_and(|own| own.key == gate.key) && stands(entry)
        };
        self.executions.iter().filter(is_here).collect()
    }
}

fn limit(gate: &Gate) -> usize {
    usize::try_from(gate.limit).unwrap_or(usize::MAX)
}

fn in_the_way(entry: &Entry) -> InTheWay {
    InTheWay {
        holder: entry.record.id.clone(),
    }
}
