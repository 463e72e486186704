//! Giving one execution alone, to whoever waits for its turn without a worker.

use flux_core::execution::Status;
use flux_core::id::ExecutionKey;
use flux_core::store::ExecutionRecord;
use rusqlite::OptionalExtension as _;

use super::gate;
use super::work::{Desk, find};
use crate::sqlite::alive::life::Lost;

impl Desk<'_> {
    /// Whether a pending execution may start; if it is delayed, it is looked at again when it is due.
    pub(crate) fn has_turn(&mut self, key: ExecutionKey, lost: &[Lost]) -> rusqlite::Result<bool> {
        let record = find(self.connection, key).optional()?;
        let Some(record) = record.filter(|record| self.is_asked_for(record, lost)) else {
            return Ok(false);
        };
        if record.ready_at > Some(self.now) {
            self.worth_a_look(record.ready_at);
            return Ok(false);
        }
        if self.room_in(record.placement.queue.as_ref())? == 0 {
            return Ok(false);
        }
        match &record.placement.gate {
            Some(gate) => Ok(gate::room(self.connection, gate)? > 0),
            None => Ok(true),
        }
    }

    /// Starts it, whoever else waits.
    pub(crate) fn take_turn(&mut self, key: ExecutionKey, lost: &[Lost]) -> rusqlite::Result<()> {
        if !self.has_turn(key, lost)? {
            return Ok(());
        }
        let record = find(self.connection, key)?;
        let placement = record.placement.clone();
        self.start(record)?;
        if let Some(gate) = &placement.gate {
            gate::settle(self.connection, &gate.key)?;
        }
        match &placement.queue {
            Some(queue) => self.note_starts(queue, &[], 1),
            None => Ok(()),
        }
    }

    fn is_asked_for(&self, record: &ExecutionRecord, lost: &[Lost]) -> bool {
        let is_free = record
            .owner
            .is_none_or(|owner| lost.iter().any(|lost| lost.worker == owner));
        record.status == Status::Pending && is_free && self.request.admits(record)
    }
}
