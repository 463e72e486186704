//! What is done next.

use std::collections::BTreeMap;

use super::Pair;
use super::names::{IDS, QUEUES, RATE_PER, SCHEDULE, WORKERS, name};
use super::op::{Firing, Op, Plan};
use crate::clock::Timestamp;
use crate::id::{EventSeq, WorkerId};
use crate::status::Status;
use crate::store::contract::given::{before_gate, change, hour, json, request};
use crate::store::{
    Change, Filter, MessageKind, Placement, QueueChange, Rate, Release, Unfinished, WorkRequest,
};

impl Pair {
    pub(super) async fn choose(&mut self) -> Op {
        let id = self.id();
        let worker = self.random.usize(..WORKERS);
        let row = self.sides[1].row(id).await;
        // Mostly right, now and then stale.
        let slip = i64::from(self.random.u8(..10) == 0);
        let epoch = row.as_ref().map_or(1, |row| row.epoch.0) - slip;
        match self.random.u8(..40) {
            0 => Op::Join(worker),
            1 => Op::Leave(worker),
            2..=9 => self.creation(worker),
            10..=17 => {
                let last = self.sides[1].last(id).await;
                Op::Commit {
                    id,
                    epoch,
                    commit: self.plan(last),
                }
            }
            18..=19 => Op::Claim { id, worker },
            20 => Op::Release {
                id,
                epoch,
                ready_at: self.maybe_moment(),
            },
            21 => Op::Note { id, epoch },
            22..=24 => Op::Post {
                id,
                kind: self.kind(),
                name: self.random.usize(..2),
                dedup: self.dedup(),
            },
            25..=26 => Op::List(self.filter()),
            27..=34 => self.claim_ready(worker).await,
            35 => Op::SetQueue(self.random.usize(..QUEUES), self.queue_change()),
            36 => Op::PutSchedule(self.maybe_moment()),
            37 => Op::Fire(self.firing()),
            38 => Op::Look(self.now()),
            _ => {
                self.hours += 1;
                Op::Look(self.now())
            }
        }
    }

    /// One of the latest.
    fn id(&mut self) -> usize {
        let first = self.created.saturating_sub(IDS);
        self.random.usize(first..=self.created)
    }

    pub(super) fn now(&self) -> Timestamp {
        hour(self.hours)
    }

    fn moment(&mut self) -> Timestamp {
        hour(self.hours + self.random.i64(-1..4))
    }

    fn maybe_moment(&mut self) -> Option<Timestamp> {
        let moment = self.moment();
        (self.random.u8(..3) > 0).then_some(moment)
    }

    fn creation(&mut self, worker: usize) -> Op {
        let is_new = self.random.u8(..8) > 0;
        let id = if is_new {
            self.created += 1;
            self.created
        } else {
            self.id()
        };
        let is_to_run = self.random.u8(..3) == 0;
        Op::Create {
            id,
            worker: is_to_run.then_some(worker),
            placement: self.placement(),
            created_at: self.now(),
            commit: self.plan(0),
        }
    }

    /// One that is bound to something, mostly.
    fn placement(&mut self) -> Placement {
        let random = &mut self.random;
        if random.u8(..5) == 0 {
            return Placement::default();
        }
        // Which of those before a gate may go in is decided when there is room; whose turn it then is in their queue
        // is not asked, so these are in no partition.
        let gate = random.usize(..6);
        let gate = (gate < 2).then(|| before_gate(&name(gate), 1 + u32::from(gate == 1)).gate);
        let mut gate = gate.flatten();
        if let Some(gate) = &mut gate {
            gate.refuses = random.u8(..3) == 0;
        }
        let is_free = gate.is_none();
        let queue = random.usize(..=QUEUES);
        let partition = random.usize(..4);
        let priority = random.i32(-1..2);
        let has_due = random.u8(..4) == 0;
        let dedup = random.usize(..20);
        Placement {
            queue: (queue < QUEUES).then(|| name(queue).into()),
            partition: (is_free && queue == 0 && partition < 3).then(|| name(partition).into()),
            priority,
            due: has_due.then(|| self.moment()),
            gate,
            dedup: (dedup < 3).then(|| name(dedup).into()),
            ..Placement::default()
        }
    }

    fn queue_change(&mut self) -> QueueChange {
        let random = &mut self.random;
        let mut limit = |most| match random.u8(..4) {
            0 | 1 => None,
            2 => Some(None),
            _ => Some(Some(random.u32(1..most))),
        };
        let (concurrency, per_worker, rate) = (limit(5), limit(3), limit(4));
        let rate = rate.map(|count| {
            count.map(|count| Rate {
                count,
                per: RATE_PER,
            })
        });
        QueueChange {
            concurrency,
            per_worker,
            rate,
            partition_by: None,
            is_paused: (random.u8(..3) == 0).then(|| random.u8(..4) == 0),
        }
    }

    async fn claim_ready(&mut self, worker: usize) -> Op {
        let mut except = Vec::new();
        for _ in 0..self.random.usize(..3) {
            // A worker excepts what it has driven, and so not those before a gate.
            let id = self.id();
            let row = self.sides[1].row(id).await;
            if row.is_some_and(|row| row.placement.gate.is_none()) {
                except.push(id);
            }
        }
        let only = self.id();
        let is_alone = self.random.u8(..6) == 0;
        let now = self.now().after(self.began.elapsed());
        let random = &mut self.random;
        let served = random.usize(..=QUEUES);
        let mut driving = BTreeMap::new();
        for queue in 0..random.usize(..=QUEUES) {
            driving.insert(name(queue).into(), random.u32(..3));
        }
        let mut request = WorkRequest {
            // With 0 a store may say that something seems to be ready, which is not the same in all of them.
            limit: random.usize(1..6),
            queues: (random.u8(..3) == 0).then(|| (0..served).map(|it| name(it).into()).collect()),
            driving,
            max_takeovers: random.u32(..3),
            ..request(WorkerId(0), now)
        };
        if random.u8(..4) == 0 {
            request.code[0].versions = 1..=1;
        }
        Op::ClaimReady {
            worker,
            request,
            except,
            only: is_alone.then_some(only),
        }
    }

    fn firing(&mut self) -> Firing {
        let advance = (self.random.u8(..3) > 0).then(|| (self.moment(), self.maybe_moment()));
        let mut start = Vec::new();
        for _ in 0..self.random.usize(..3) {
            let placement = Placement {
                schedule: Some(SCHEDULE.into()),
                scheduled_at: Some(self.moment()),
                ..self.placement()
            };
            let id = if self.random.u8(..4) == 0 {
                self.id()
            } else {
                self.created += 1;
                self.created
            };
            start.push((id, placement));
        }
        let unfinished = [Unfinished::Leave, Unfinished::Skip, Unfinished::Cancel];
        Firing {
            advance,
            start,
            now: self.now(),
            unfinished: unfinished[self.random.usize(..3)],
        }
    }

    fn kind(&mut self) -> MessageKind {
        let kinds = [
            MessageKind::Signal,
            MessageKind::Signal,
            MessageKind::Cancel,
            MessageKind::Terminate,
        ];
        kinds[self.random.usize(..4)]
    }

    fn plan(&mut self, last: u32) -> Plan {
        let random = &mut self.random;
        let slip = if random.u8(..12) == 0 {
            random.u32(..3)
        } else {
            1
        };
        let (count, consumed) = (random.u32(..4), random.usize(..3));
        let published = (0..random.usize(..2))
            .map(|_| (random.usize(..2), random.u32(..)))
            .collect();
        let receivers = random.usize(..3);
        let outbox = (0..receivers)
            .map(|_| (self.id(), self.random.usize(..2), self.dedup()))
            .collect();
        let seen = self.random.usize(..4);
        Plan {
            first: last + slip,
            count,
            change: self.change(),
            seen: (seen < 3).then_some(seen),
            heeds: (self.random.u8(..3) == 0).then(|| self.random.bool()),
            consumed,
            published,
            outbox,
        }
    }

    fn change(&mut self) -> Option<Change> {
        if self.random.bool() {
            return None;
        }
        let (wake_at, ready_at) = (self.maybe_moment(), self.maybe_moment());
        let random = &mut self.random;
        // Mostly something that goes on, or soon everything has ended.
        let status = if random.u8(..3) == 0 {
            Status::ALL[random.usize(1..7)]
        } else {
            Status::ALL[random.usize(1..3)]
        };
        let release = Release {
            ready_at,
            ..Release::default()
        };
        Some(Change {
            wake_at,
            waiting: random.bool().then(|| json("{}")),
            rewound: random.bool().then(|| EventSeq::new(random.u32(1..5))),
            obstacle: (random.u8(..8) == 0).then(|| json("{}")),
            hold: (random.u8(..8) == 0).then(|| "it hurts".into()),
            release: random.bool().then_some(release),
            ..change(status)
        })
    }

    fn dedup(&mut self) -> Option<usize> {
        self.random.bool().then(|| self.random.usize(..4))
    }

    fn filter(&mut self) -> Filter {
        let random = &mut self.random;
        Filter {
            statuses: random
                .choose_multiple(Status::ALL, 2)
                .into_iter()
                .filter(|_| random.bool())
                .collect(),
            workflow: random.bool().then(|| "order".into()),
            parent: (random.u8(..4) == 0).then(|| name(0).into()),
            queue: (random.u8(..3) == 0).then(|| name(random.usize(..QUEUES)).into()),
            schedule: (random.u8(..6) == 0).then(|| SCHEDULE.into()),
            tag: (random.u8(..4) == 0).then(|| name(random.usize(..2)).into()),
            since: (random.u8(..3) == 0).then(|| hour(self.hours - random.i64(0..9))),
            limit: random.usize(..IDS),
            before: None,
        }
    }
}
