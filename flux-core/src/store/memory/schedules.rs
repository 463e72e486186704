//! Schedules.

use super::{Entry, MemoryState};
use crate::clock::Timestamp;
use crate::id::ExecutionId;
use crate::store::{
    DueRequest, DueSchedules, Fire, Fired, NewExecution, NewMessage, ScheduleChange,
    ScheduleRecord, Unfinished,
};

impl MemoryState {
    pub(super) fn due_schedules(&self, request: &DueRequest) -> DueSchedules {
        let is_wanted = |schedule: &&ScheduleRecord| {
            !schedule.is_paused && request.workflows.contains(&schedule.workflow)
        };
        let wanted = self.schedules.values().filter(is_wanted);
        let mut coming: Vec<_> = wanted
            .filter_map(|schedule| Some((schedule.next_at?, schedule)))
            .collect();
        coming.sort_by_key(|(next_at, _)| *next_at);
        let mut coming = coming.into_iter().peekable();
        let mut due = Vec::new();
        while due.len() < request.limit {
            let Some((_, schedule)) = coming.next_if(|(next_at, _)| *next_at <= request.now) else {
                break;
            };
            due.push(schedule.clone());
        }
        let next = coming.peek().map(|(next_at, _)| *next_at);
        DueSchedules { due, next }
    }

    pub(super) fn put_schedule(&mut self, schedule: ScheduleRecord) {
        let stored = self
            .schedules
            .entry(schedule.id.clone())
            .or_insert_with(|| schedule.clone());
        *stored = ScheduleRecord {
            is_paused: stored.is_paused,
            last_at: stored.last_at,
            created_at: stored.created_at,
            ..schedule
        };
    }

    pub(super) fn change_schedule(&mut self, id: &str, change: &ScheduleChange) -> bool {
        let Some(schedule) = self.schedules.get_mut(id) else {
            return false;
        };
        schedule.is_paused = change.is_paused.unwrap_or(schedule.is_paused);
        schedule.next_at = change.next_at.unwrap_or(schedule.next_at);
        true
    }

    pub(super) fn fire(&mut self, fire: Fire) -> Fired {
        let Some(schedule) = self.schedules.get_mut(&fire.schedule) else {
            return Fired::Stale;
        };
        if let Some((stood_at, next_at)) = fire.advance {
            if schedule.is_paused || schedule.next_at != Some(stood_at) {
                return Fired::Stale;
            }
            schedule.next_at = next_at;
        }
        let is_new = |(new, _): &(NewExecution, _)| !self.by_id.contains_key(&new.id);
        let start: Vec<_> = fire.start.into_iter().filter(is_new).collect();
        let mut cancelled = Vec::new();
        if !start.is_empty() {
            let unfinished = self.unfinished_of(&fire.schedule);
            if fire.unfinished == Unfinished::Skip && !unfinished.is_empty() {
                return Fired::Done {
                    started: Vec::new(),
                    skipped: true,
                    cancelled,
                };
            }
            if fire.unfinished == Unfinished::Cancel {
                for id in unfinished {
                    let message = NewMessage::cancellation_by_schedule(fire.now);
                    if self.post(&id, message).is_ok() {
                        cancelled.push(id);
                    }
                }
            }
        }
        let mut started = Vec::new();
        let mut skipped = false;
        for (new, event) in start {
            // One id may be asked for twice.
            if self.by_id.contains_key(&new.id) {
                continue;
            }
            if self.check_new(&new).is_err() {
                skipped = true;
                continue;
            }
            self.note_slot(&fire.schedule, new.placement.scheduled_at);
            started.push(new.id.clone());
            let key = self.create(new);
            if let Some(entry) = self.entry_mut(key) {
                entry.events.push(event);
            }
        }
        Fired::Done {
            started,
            skipped,
            cancelled,
        }
    }

    fn note_slot(&mut self, schedule: &str, slot: Option<Timestamp>) {
        if let Some(schedule) = self.schedules.get_mut(schedule) {
            schedule.last_at = schedule.last_at.max(slot);
        }
    }

    fn unfinished_of(&self, schedule: &str) -> Vec<ExecutionId> {
        let is_open = |entry: &&Entry| {
            entry.record.placement.schedule.as_deref() == Some(schedule)
                && !entry.record.status.is_finished()
        };
        let open = self.executions.iter().filter(is_open);
        open.map(|entry| entry.record.id.clone()).collect()
    }
}
