//! Random operations: whatever is done, a store holds what the reference would hold.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::given::{at, change, commit, event, json, new, signal, signal_once};
use crate::execution::Status;
use crate::id::{Epoch, EventSeq, ExecutionId, ExecutionKey, WorkerId};
use crate::store::{
    Change, ClaimError, Commit, CommitError, ExecutionRecord, Filter, MemoryStore, NewExecution,
    PostError, Release, Store, Target, WorkerGuard,
};

/// Set this to a printed seed to see a failure again.
const SEED: &str = "FLUX_SEED";

/// A few thousand random operations, on the store and on the reference; every answer and at last
/// every row must agree.
pub async fn random_operations_leave_what_they_leave_in_memory(store: Arc<dyn Store>) {
    let given = std::env::var(SEED).ok().and_then(|seed| seed.parse().ok());
    let seed = given.unwrap_or_else(|| fastrand::u64(..));
    println!("{SEED}={seed}");
    let mut pair = Pair {
        random: fastrand::Rng::with_seed(seed),
        sides: [Side::new(store), Side::new(Arc::new(MemoryStore::new()))],
    };
    for _ in 0..2_000 {
        pair.step().await;
    }
    pair.compare_everything().await;
}

/// The store under test and the reference.
struct Pair {
    random: fastrand::Rng,
    sides: [Side; 2],
}

/// One store, with the numbers it gave.
struct Side {
    store: Arc<dyn Store>,
    keys: BTreeMap<String, ExecutionKey>,
    workers: Vec<Option<WorkerGuard>>,
    ids: Vec<WorkerId>,
}

const IDS: usize = 12;
const WORKERS: usize = 3;

/// One operation, with choices for numbers: each side puts in its own.
enum Op {
    Join(usize),
    Leave(usize),
    Create {
        id: usize,
        worker: usize,
        commit: Plan,
    },
    Commit {
        id: usize,
        epoch: i64,
        commit: Plan,
    },
    Claim {
        id: usize,
        worker: usize,
    },
    Release {
        id: usize,
        epoch: i64,
    },
    Post {
        id: usize,
        name: usize,
        dedup: Option<usize>,
    },
    List(Filter),
}

/// What a commit does.
#[derive(Clone)]
struct Plan {
    first: u32,
    count: u32,
    change: Option<Change>,
    /// How many of the oldest messages it consumes.
    consumed: usize,
    published: Vec<(usize, u32)>,
    outbox: Vec<(usize, usize, Option<usize>)>,
}

impl Pair {
    async fn step(&mut self) {
        let op = self.choose().await;
        let [tested, reference] = &mut self.sides;
        let (got, wanted) = (tested.apply(&op).await, reference.apply(&op).await);
        assert_eq!(got, wanted, "the store's answer, and the reference's");
    }

    async fn choose(&mut self) -> Op {
        let id = self.random.usize(..IDS);
        let worker = self.random.usize(..WORKERS);
        let row = self.sides[1].row(id).await;
        // Mostly right, now and then stale.
        let slip = i64::from(self.random.u8(..10) == 0);
        let epoch = row.as_ref().map_or(1, |row| row.epoch.0) - slip;
        match self.random.u8(..20) {
            0 => Op::Join(worker),
            1 => Op::Leave(worker),
            2..=4 => Op::Create {
                id,
                worker,
                commit: self.plan(0),
            },
            5..=11 => {
                let last = self.sides[1].last(id).await;
                Op::Commit {
                    id,
                    epoch,
                    commit: self.plan(last),
                }
            }
            12..=13 => Op::Claim { id, worker },
            14 => Op::Release { id, epoch },
            15..=17 => Op::Post {
                id,
                name: self.random.usize(..2),
                dedup: self.dedup(),
            },
            _ => Op::List(self.filter()),
        }
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
            .map(|_| {
                (
                    self.random.usize(..IDS),
                    self.random.usize(..2),
                    self.dedup(),
                )
            })
            .collect();
        Plan {
            first: last + slip,
            count,
            change: self.change(),
            consumed,
            published,
            outbox,
        }
    }

    fn change(&mut self) -> Option<Change> {
        let random = &mut self.random;
        if random.bool() {
            return None;
        }
        // Mostly something that goes on, or soon everything has ended.
        let status = if random.u8(..5) == 0 {
            Status::ALL[random.usize(1..7)]
        } else {
            Status::ALL[random.usize(1..3)]
        };
        Some(Change {
            wake_at: random.bool().then(|| at(random.i64(..1000))),
            waiting: random.bool().then(|| json("{}")),
            rewound: random.bool().then(|| EventSeq::new(random.u32(1..5))),
            release: (random.u8(..4) == 0).then(Release::default),
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
            parent: (random.u8(..3) == 0).then(|| name(0).into()),
            limit: random.usize(..IDS),
            ..Filter::default()
        }
    }

    async fn compare_everything(&self) {
        let [tested, reference] = &self.sides;
        for id in 0..IDS {
            assert_eq!(
                tested.dump(id).await,
                reference.dump(id).await,
                "what is left of {}",
                name(id)
            );
        }
        assert_eq!(tested.orphans().await, reference.orphans().await);
    }
}

impl Side {
    fn new(store: Arc<dyn Store>) -> Self {
        Self {
            store,
            keys: BTreeMap::new(),
            workers: (0..WORKERS).map(|_| None).collect(),
            ids: Vec::new(),
        }
    }

    /// Does it, and returns the answer in words that are the same for every store.
    async fn apply(&mut self, op: &Op) -> String {
        match op {
            Op::Join(worker) => {
                let guard = self.store.join().await.unwrap();
                self.ids.push(guard.id());
                self.workers[*worker] = Some(guard);
                "joined".to_owned()
            }
            Op::Leave(worker) => {
                self.workers[*worker] = None;
                "left".to_owned()
            }
            Op::Create { id, worker, commit } => {
                let Some(owner) = self.worker(*worker) else {
                    return "nobody".to_owned();
                };
                let parent = (id % 3 == 1).then(|| name(0).into());
                let row = NewExecution {
                    parent,
                    ..new(&name(*id), owner)
                };
                self.commit(*id, Target::New(Box::new(row)), commit).await
            }
            Op::Commit { id, epoch, commit } => {
                let key = self.key(*id);
                self.commit(
                    *id,
                    Target::Existing {
                        key,
                        epoch: Epoch(*epoch),
                    },
                    commit,
                )
                .await
            }
            Op::Claim { id, worker } => {
                let Some(worker) = self.worker(*worker) else {
                    return "nobody".to_owned();
                };
                match self.store.claim(&name(*id).into(), worker).await {
                    Ok(row) => format!("{:?}", self.plain(row)),
                    Err(ClaimError::Held { .. }) => "held".to_owned(),
                    Err(error) => error.to_string(),
                }
            }
            Op::Release { id, epoch } => {
                self.store
                    .release(self.key(*id), Epoch(*epoch), None)
                    .await
                    .unwrap();
                "released".to_owned()
            }
            Op::Post {
                id,
                name: signal,
                dedup,
            } => {
                match self
                    .store
                    .post(&name(*id).into(), message(*signal, *dedup))
                    .await
                {
                    Ok(()) => "posted".to_owned(),
                    Err(PostError::Failed(error)) => panic!("{error}"),
                    Err(error) => error.to_string(),
                }
            }
            Op::List(filter) => {
                let found = self.store.executions(filter.clone()).await.unwrap();
                format!(
                    "{:?}",
                    found
                        .into_iter()
                        .map(|row| self.plain(row))
                        .collect::<Vec<_>>()
                )
            }
        }
    }

    async fn commit(&mut self, id: usize, target: Target, plan: &Plan) -> String {
        let inbox = self.store.inbox(self.key(id)).await.unwrap();
        let planned = Commit {
            events: (plan.first..plan.first + plan.count).map(event).collect(),
            change: plan.change.clone(),
            consumed: inbox
                .iter()
                .take(plan.consumed)
                .map(|message| message.id)
                .collect(),
            published: plan
                .published
                .iter()
                .map(|(key, value)| (name(*key).into(), json(&value.to_string())))
                .collect(),
            outbox: plan
                .outbox
                .iter()
                .map(|(to, name_of, dedup)| (name(*to).into(), message(*name_of, *dedup)))
                .collect(),
            ..commit(target)
        };
        match self.store.commit(planned).await {
            Ok(done) => {
                self.keys.insert(name(id), done.key);
                "committed".to_owned()
            }
            Err(error @ (CommitError::Fenced | CommitError::Exists)) => error.to_string(),
            Err(error) => panic!("{error}"),
        }
    }

    fn key(&self, id: usize) -> ExecutionKey {
        self.keys
            .get(&name(id))
            .copied()
            .unwrap_or(ExecutionKey(1_000_000))
    }

    fn worker(&self, worker: usize) -> Option<WorkerId> {
        self.workers[worker].as_ref().map(WorkerGuard::id)
    }

    async fn row(&self, id: usize) -> Option<ExecutionRecord> {
        self.store.execution(&name(id).into()).await.unwrap()
    }

    async fn last(&self, id: usize) -> u32 {
        self.store
            .last_event(self.key(id))
            .await
            .unwrap()
            .map_or(0, |event| event.seq.get())
    }

    /// The row without the numbers that each store gives as it likes: the owner becomes the place
    /// among all who ever joined.
    fn plain(&self, row: ExecutionRecord) -> (ExecutionRecord, Option<usize>) {
        let owner = row.owner.map(|owner| {
            self.ids
                .iter()
                .position(|id| *id == owner)
                .expect("it joined")
        });
        (
            ExecutionRecord {
                key: ExecutionKey(0),
                owner: None,
                ..row
            },
            owner,
        )
    }

    async fn orphans(&self) -> Vec<ExecutionId> {
        self.store
            .orphans(at(0), IDS)
            .await
            .unwrap()
            .into_iter()
            .map(|row| row.id)
            .collect()
    }

    async fn dump(&self, id: usize) -> String {
        let key = self.key(id);
        let row = self.row(id).await.map(|row| self.plain(row));
        let history = self
            .store
            .events(key, EventSeq::FIRST, usize::MAX)
            .await
            .unwrap();
        let inbox: Vec<_> = self.store.inbox(key).await.unwrap();
        let inbox: Vec<_> = inbox
            .iter()
            .map(|message| (&message.name, &message.payload, message.at))
            .collect();
        let published = [
            self.store.published(key, &name(0)).await.unwrap(),
            self.store.published(key, &name(1)).await.unwrap(),
        ];
        format!("{row:?} {history:?} {inbox:?} {published:?}")
    }
}

fn name(id: usize) -> String {
    format!("e{id}")
}

fn message(name_of: usize, dedup: Option<usize>) -> crate::store::NewMessage {
    let value = format!("{dedup:?}").len().to_string();
    match dedup {
        Some(key) => signal_once(&name(name_of), &value, &name(key)),
        None => signal(&name(name_of), &value),
    }
}
