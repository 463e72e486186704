//! What workers are given.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use super::{MemoryState, Takeovers};
use crate::clock::Timestamp;
use crate::id::{Epoch, ExecutionKey};
use crate::status::Status;
use crate::store::{ExecutionRecord, Runnable, Work, WorkRequest, hold_reason};

/// Those of one partition whose turn it is, the first of them first.
type Turn = VecDeque<ExecutionKey>;

/// One request while it is served.
struct Desk<'a> {
    request: &'a WorkRequest,
    now: Timestamp,
    work: Work,
    /// How many of each queue the worker drives, with what it was given here.
    driving: BTreeMap<Arc<str>, u32>,
}

impl Desk<'_> {
    /// How many more the worker wants.
    fn room(&self) -> usize {
        self.request.limit.saturating_sub(self.work.claimed.len())
    }

    fn worth_a_look(&mut self, at: Option<Timestamp>) {
        self.work.next = self.work.next.into_iter().chain(at).min();
    }
}

impl MemoryState {
    pub(super) fn claim_ready(&mut self, request: &WorkRequest, now: Timestamp) -> Work {
        if request.limit == 0 {
            return self.look(request, now);
        }
        let mut desk = Desk {
            request,
            now,
            work: Work::default(),
            driving: request.driving.clone(),
        };
        if let Some(key) = request.only {
            self.take_turn(key, &mut desk);
            return desk.work;
        }
        self.take_over(&mut desk);
        self.take_woken(&mut desk);
        self.take_pending(&mut desk);
        self.look_ahead(&mut desk);
        desk.work
    }

    /// What a worker without room is told: whether there is anything for it, and if not, when.
    fn look(&mut self, request: &WorkRequest, now: Timestamp) -> Work {
        let request = WorkRequest {
            limit: 1,
            ..request.clone()
        };
        let mut desk = Desk {
            request: &request,
            now,
            work: Work::default(),
            driving: request.driving.clone(),
        };
        if self.has_anything(&mut desk) {
            desk.worth_a_look(Some(now));
        } else {
            self.look_ahead(&mut desk);
        }
        desk.work
    }

    fn has_anything(&mut self, desk: &mut Desk<'_>) -> bool {
        let now = desk.now;
        let is_started = |record: &ExecutionRecord| {
            let is_lost = record
                .owner
                .is_some_and(|owner| !self.alive.contains_key(&owner));
            let is_woken =
                record.owner.is_none() && record.ready_at.is_some_and(|ready| ready <= now);
            let is_started = matches!(record.status, Status::Running | Status::Paused);
            (is_lost && !record.status.is_finished()) || (is_woken && is_started)
        };
        let started = self.candidates(desk, is_started);
        if started
            .iter()
            .any(|key| self.room_on_worker(*key, desk) > 0)
        {
            return true;
        }
        let is_due = |record: &ExecutionRecord| {
            record.status == Status::Pending
                && record.owner.is_none()
                && record.ready_at.is_some_and(|ready| ready <= now)
        };
        let due = self.candidates(desk, is_due);
        due.into_iter().any(|key| {
            let queue = self
                .entry(key)
                .and_then(|entry| entry.record.placement.queue.clone());
            let room = queue.map_or(1, |queue| self.room_in(&queue, desk));
            room > 0 && self.fits_its_gate(key)
        })
    }

    /// One alone, whoever waits before it.
    fn take_turn(&mut self, key: ExecutionKey, desk: &mut Desk<'_>) {
        let Some(entry) = self.entry(key) else {
            return;
        };
        let record = &entry.record;
        let is_asked_for = record.status == Status::Pending
            && !self.is_driven(record)
            && desk.request.admits(record);
        if !is_asked_for {
            return;
        }
        let due = record.placement.due;
        if due > Some(desk.now) {
            desk.worth_a_look(due);
            return;
        }
        let room = match record.placement.queue.clone() {
            Some(queue) => self.room_in(&queue, desk),
            None => desk.room(),
        };
        if room > 0 && self.fits_its_gate(key) {
            self.begin(key, desk);
        }
    }

    /// Those whose owner died.
    fn take_over(&mut self, desk: &mut Desk<'_>) {
        let is_lost = |record: &ExecutionRecord| {
            record
                .owner
                .is_some_and(|owner| !self.alive.contains_key(&owner))
                && !record.status.is_finished()
        };
        for key in self.candidates(desk, is_lost) {
            if desk.room() == 0 {
                return;
            }
            let has_room = self.room_on_worker(key, desk) > 0;
            let Some(entry) = self.entry_mut(key) else {
                continue;
            };
            if entry.record.status == Status::Pending {
                // Whoever wanted something of it died: it is back in its queue.
                entry.record.owner = None;
                continue;
            }
            if !has_room {
                continue;
            }
            let last = entry.events.last().map(|event| event.seq);
            let is_stuck = entry.takeovers.last == last;
            let count = if is_stuck {
                entry.takeovers.count + 1
            } else {
                1
            };
            entry.takeovers = Takeovers { count, last };
            if count > desk.request.max_takeovers {
                let reason = hold_reason(count);
                let record = &mut entry.record;
                record.status = Status::Paused;
                record.owner = None;
                record.ready_at = None;
                record.hold = Some(Arc::clone(&reason));
                desk.work.held.push((record.id.clone(), reason));
                continue;
            }
            self.hand_over(key, desk);
        }
    }

    /// Those that a timer or a message has woken.
    fn take_woken(&mut self, desk: &mut Desk<'_>) {
        let now = desk.now;
        let is_woken = |record: &ExecutionRecord| {
            matches!(record.status, Status::Running | Status::Paused)
                && record.owner.is_none()
                && record.ready_at.is_some_and(|ready| ready <= now)
        };
        let mut woken = self.candidates(desk, is_woken);
        woken.sort_by_key(|key| self.entry(*key).and_then(|entry| entry.record.ready_at));
        for key in woken {
            if desk.room() == 0 {
                return;
            }
            if self.room_on_worker(key, desk) > 0 {
                self.hand_over(key, desk);
            }
        }
    }

    /// Those whose turn it is.
    fn take_pending(&mut self, desk: &mut Desk<'_>) {
        let now = desk.now;
        let is_due = |record: &ExecutionRecord| {
            record.status == Status::Pending
                && record.owner.is_none()
                && record.placement.is_due(now)
        };
        let mut by_queue: BTreeMap<Option<Arc<str>>, Vec<ExecutionKey>> = BTreeMap::new();
        for key in self.candidates(desk, is_due) {
            if let Some(entry) = self.entry_mut(key) {
                entry.is_delayed = false;
                let queue = entry.record.placement.queue.clone();
                by_queue.entry(queue).or_default().push(key);
            }
        }
        // The queue that was served last is last now.
        let (had_turn, mut queues): (Vec<_>, Vec<_>) = by_queue
            .into_iter()
            .partition(|(queue, _)| *queue <= self.last_queue);
        queues.extend(had_turn);
        for (queue, keys) in queues {
            let turns = self.turns(queue.as_ref(), keys);
            self.take_from_queue(queue.as_ref(), turns, desk);
        }
    }

    /// Partition by partition, the next first; inside one it goes by priority, then by age.
    fn turns(&self, queue: Option<&Arc<str>>, keys: Vec<ExecutionKey>) -> Vec<Turn> {
        let mut partitions: BTreeMap<Option<Arc<str>>, Vec<ExecutionKey>> = BTreeMap::new();
        for key in keys {
            let Some(entry) = self.entry(key) else {
                continue;
            };
            let partition = entry.record.placement.partition.clone();
            partitions.entry(partition).or_default().push(key);
        }
        let place = |key: &ExecutionKey| {
            let priority = self
                .entry(*key)
                .map_or(0, |entry| entry.record.placement.priority);
            (std::cmp::Reverse(priority), *key)
        };
        for keys in partitions.values_mut() {
            keys.sort_by_key(place);
        }
        let last = queue.and_then(|queue| self.queues.get(queue)?.last_partition.clone());
        let (had_turn, next): (Vec<_>, Vec<_>) = partitions
            .into_iter()
            .partition(|(partition, _)| *partition <= last);
        let partitions = next.into_iter().chain(had_turn);
        partitions.map(|(_, keys)| Turn::from(keys)).collect()
    }

    fn take_from_queue(
        &mut self,
        queue: Option<&Arc<str>>,
        mut turns: Vec<Turn>,
        desk: &mut Desk<'_>,
    ) {
        if !turns.iter().flatten().any(|key| self.fits_its_gate(*key)) {
            return;
        }
        let mut room = match queue {
            Some(name) => self.room_in(name, desk),
            None => desk.room(),
        };
        if room == 0 {
            return;
        }
        self.last_queue = queue.cloned();
        while room > 0 && !turns.is_empty() {
            for turn in &mut turns {
                if room == 0 {
                    break;
                }
                if let Some(key) = self.next_that_fits(turn) {
                    self.begin(key, desk);
                    self.note_turn(key);
                    room -= 1;
                }
            }
            turns.retain(|turn| !turn.is_empty());
        }
        let left_over = turns.iter().flatten().any(|key| self.fits_its_gate(*key));
        if let Some(name) = queue.filter(|_| left_over) {
            let next = self.queue_mut(name).allowance(desk.now).1;
            desk.worth_a_look(next);
        }
    }

    fn next_that_fits(&self, turn: &mut Turn) -> Option<ExecutionKey> {
        std::iter::from_fn(|| turn.pop_front()).find(|key| self.fits_its_gate(*key))
    }

    fn fits_its_gate(&self, key: ExecutionKey) -> bool {
        let gate = self
            .entry(key)
            .and_then(|entry| entry.record.placement.gate.as_ref());
        gate.is_none_or(|gate| self.has_room(gate))
    }

    /// How many may start from a queue now.
    fn room_in(&mut self, name: &Arc<str>, desk: &mut Desk<'_>) -> usize {
        let running = usize::try_from(self.running_of(name)).unwrap_or(usize::MAX);
        let on_worker = self.left_on_worker(name, desk);
        let queue = self.queue_mut(name);
        if queue.settings.is_paused {
            return 0;
        }
        let (allowance, next) = queue.allowance(desk.now);
        let concurrency = queue.settings.concurrency;
        desk.worth_a_look(next);
        let left = concurrency.map_or(usize::MAX, |limit| (limit as usize).saturating_sub(running));
        allowance.min(left).min(on_worker).min(desk.room())
    }

    /// How many more of an execution's queue the worker may drive.
    fn room_on_worker(&self, key: ExecutionKey, desk: &Desk<'_>) -> usize {
        let queue = self
            .entry(key)
            .and_then(|entry| entry.record.placement.queue.as_ref());
        queue.map_or(usize::MAX, |queue| self.left_on_worker(queue, desk))
    }

    fn left_on_worker(&self, queue: &Arc<str>, desk: &Desk<'_>) -> usize {
        let drives = desk.driving.get(queue).copied().unwrap_or(0);
        let limit = self
            .queues
            .get(queue)
            .and_then(|queue| queue.settings.per_worker);
        limit.map_or(usize::MAX, |limit| limit.saturating_sub(drives) as usize)
    }

    fn begin(&mut self, key: ExecutionKey, desk: &mut Desk<'_>) {
        let Some(entry) = self.entry_mut(key) else {
            return;
        };
        entry.record.status = Status::Running;
        entry.record.started_at = Some(desk.now);
        let placement = entry.record.placement.clone();
        if let Some(name) = &placement.queue {
            self.queue_mut(name).note_start(desk.now);
        }
        self.hand_over(key, desk);
    }

    fn note_turn(&mut self, key: ExecutionKey) {
        let placement = self.entry(key).map(|entry| entry.record.placement.clone());
        if let Some(placement) = placement
            && let Some(name) = &placement.queue
        {
            self.queue_mut(name).last_partition = placement.partition;
        }
    }

    fn hand_over(&mut self, key: ExecutionKey, desk: &mut Desk<'_>) {
        let Some(entry) = self.entry_mut(key) else {
            return;
        };
        let record = &mut entry.record;
        let taken_from = record.owner.replace(desk.request.worker);
        record.epoch = Epoch(record.epoch.0 + 1);
        record.ready_at = None;
        if let Some(queue) = &record.placement.queue {
            *desk.driving.entry(Arc::clone(queue)).or_default() += 1;
        }
        desk.work.claimed.push(ExecutionRecord {
            taken_from,
            ..record.clone()
        });
    }

    /// When more may be ready by itself.
    fn look_ahead(&self, desk: &mut Desk<'_>) {
        if desk.room() == 0 {
            return;
        }
        let now = desk.now;
        let ready_at = |record: &ExecutionRecord| match record.status {
            Status::Pending => record.placement.due,
            _ => record.ready_at,
        };
        let is_later = |record: &ExecutionRecord| {
            !record.status.is_finished()
                && record.owner.is_none()
                && ready_at(record).is_some_and(|ready| ready > now)
        };
        let later = self.candidates(desk, is_later);
        let moments = later
            .into_iter()
            .filter_map(|key| ready_at(&self.entry(key)?.record));
        desk.worth_a_look(moments.min());
    }

    fn candidates(
        &self,
        desk: &Desk<'_>,
        fits: impl Fn(&ExecutionRecord) -> bool,
    ) -> Vec<ExecutionKey> {
        let records = self.executions.iter().map(|entry| &entry.record);
        let wanted = records.filter(|record| fits(record) && desk.request.admits(record));
        wanted.map(|record| record.key).collect()
    }
}

impl WorkRequest {
    /// Whether the worker has the code, serves the queue and does not except it.
    pub fn admits(&self, record: &ExecutionRecord) -> bool {
        let is_served = match (&self.queues, &record.placement.queue) {
            (Some(served), Some(queue)) => served.contains(queue),
            _ => true,
        };
        let runs = |code: &Runnable| {
            code.workflow == record.workflow && code.versions.contains(&record.version)
        };
        is_served && !self.except.contains(&record.key) && self.code.iter().any(runs)
    }
}
