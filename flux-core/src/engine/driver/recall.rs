//! An end that is not written, because a command came before it.
//!
//! ```text
//!   the code ends ──► its commit heeds the inbox ──┬─ nothing unread: it has ended
//!                                                  └─ a command: nothing is written; the execution is taken up from the store
//!                                                     once more, and what its calls were answered with comes after the command
//! ```
//!
//! Other processes post commands at any time, and a driver may hear of them up to 100 ms later. Without this, a command that
//! was accepted in that time would never be read.

use tokio::sync::mpsc;

use super::activation::{Arrival, NewOutcome};
use super::{Driver, Halt, Intent, Step};
use crate::event::{Event, EventKind};
use crate::execution::Status;
use crate::store::{Change, Heeds};

impl Driver {
    /// What the commit of these events heeds: everything that could still change how the code ends, where it ends with them.
    pub(super) fn heeds(&self, events: &[Event], change: Option<&Change>) -> Option<Heeds> {
        // An execution that is new, or that had finished, cannot have been sent a command.
        let record = self.row.record.as_ref();
        record.filter(|record| !record.status.is_finished())?;
        let has = |kinds: &[EventKind]| events.iter().any(|event| kinds.contains(&event.kind));
        let ends = |change: &Change| matches!(change.status, Status::Completed | Status::Failed);
        let begins_exit = has(&[EventKind::ExitStarted]);
        let ends_now = begins_exit || (change.is_some_and(ends) && !self.is_exiting());
        if !ends_now || self.cancelling.is_some() {
            return None;
        }
        // No body is cut off, and no attempt is repeated, for a pause.
        let cuts_off = has(&[EventKind::CallCancelled, EventKind::TaskAttemptFailed]);
        Some(Heeds {
            seen: self.last_message,
            pauses: self.hold.is_none() && !cuts_off && !self.has_running_bodies(),
        })
    }

    /// The answers to calls that only these events record, as outcomes that can be delivered again.
    pub(super) fn answers(events: &[Event]) -> Vec<NewOutcome> {
        let answers = events.iter().filter(|event| is_answer(event.kind));
        answers
            .filter_map(|event| {
                let mut outcome = NewOutcome::new(event.kind, event.refers?);
                outcome.name.clone_from(&event.name);
                outcome.payload.clone_from(&event.payload);
                outcome.meta.clone_from(&event.meta);
                Some(outcome)
            })
            .collect()
    }

    /// Takes the execution up once more, as it is in the store, and reads the inbox.
    pub(super) async fn recall(&mut self) -> Result<Step, Halt> {
        let Some(record) = self.row.record.clone() else {
            return Ok(Step::Went);
        };
        self.take_inputs();
        let mut answers = std::mem::take(&mut self.recalled);
        answers.extend(self.arrivals.drain(..).filter_map(|arrival| match arrival {
            Arrival::Outcome(outcome) if is_answer(outcome.kind) => Some(*outcome),
            _ => None,
        }));
        self.detach_children();
        self.start_over();
        // What came by message is read from the inbox again.
        answers.retain(|outcome| outcome.consumed.is_none());
        self.recalled = answers;
        match self.boot(record, Intent::Recover).await {
            Ok(()) => {
                self.is_recalled = true;
                Ok(Step::Went)
            }
            Err(Halt::PutOff) => {
                self.salvage();
                Ok(Step::Settled(Box::new(self.put_off().await?)))
            }
            Err(error) => Err(error),
        }
    }

    /// Becomes a driver that owns the execution and has not read it yet. Only what is about the process is kept, such as
    /// inputs, threads and who waits for the driver.
    fn start_over(&mut self) {
        let (_, nothing) = mpsc::unbounded_channel();
        let fresh = Self::new(
            &self.engine,
            self.def,
            self.id.clone(),
            self.sender.clone(),
            nothing,
            &self.is_attended,
        );
        let before = std::mem::replace(self, fresh);
        self.ownership = before.ownership;
        self.inputs = before.inputs;
        self.threads = before.threads;
        self.next_run = before.next_run;
        self.woken_for = before.woken_for;
        self.has_warned_of_foreign = before.has_warned_of_foreign;
        self.has_parent_here = before.has_parent_here;
        self.is_watched = before.is_watched;
        self.brief_turns = before.brief_turns;
        self.is_retiring = before.is_retiring;
    }
}

/// Whether it answers a call with a value that exists only in memory until it is written.
fn is_answer(kind: EventKind) -> bool {
    matches!(
        kind,
        EventKind::TaskCompleted | EventKind::TaskFailed | EventKind::PauseAnswered
    )
}
