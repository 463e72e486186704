//! One store, and the answers it gives in words that are the same for every store.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::names::{IDS, SCHEDULE, WORKERS, message, name, whole};
use super::op::{Firing, Op, Plan, row_of};
use crate::clock::Timestamp;
use crate::id::{Epoch, EventSeq, ExecutionKey, WorkerId};
use crate::store::contract::given::{at, commit, event, ids, json};
use crate::store::{
    Change, ClaimError, Commit, CommitError, DueRequest, ExecutionRecord, Fire, Fired, Heeds,
    NewMessage, PostError, QueueRecord, Release, ScheduleRecord, Store, Target, WorkRequest,
    WorkerGuard,
};

/// One store, with the numbers it gave.
pub(super) struct Side {
    pub(super) store: Arc<dyn Store>,
    pub(super) keys: BTreeMap<String, ExecutionKey>,
    pub(super) workers: Vec<Option<WorkerGuard>>,
    pub(super) ids: Vec<WorkerId>,
}

impl Side {
    pub(super) fn new(store: Arc<dyn Store>) -> Self {
        Self {
            store,
            keys: BTreeMap::new(),
            workers: (0..WORKERS).map(|_| None).collect(),
            ids: Vec::new(),
        }
    }

    /// Does it, and returns the answer in words that are the same for every store.
    pub(super) async fn apply(&mut self, op: &Op) -> String {
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
            Op::Create {
                id,
                worker,
                placement,
                created_at,
                commit,
            } => {
                let owner = worker.map(|worker| self.worker(worker));
                if owner == Some(None) {
                    return "nobody".to_owned();
                }
                let row = row_of(*id, owner.flatten(), placement.clone(), *created_at);
                self.commit(*id, Target::New(Box::new(row)), commit).await
            }
            Op::ClaimReady {
                worker,
                request,
                except,
                only,
            } => self.claim_ready(*worker, request, except, *only).await,
            Op::SetQueue(queue, change) => {
                let set = self.store.set_queue(&name(*queue), change.clone()).await;
                format!("{:?}", set.unwrap())
            }
            Op::PutSchedule(next_at) => {
                let schedule = ScheduleRecord {
                    id: SCHEDULE.into(),
                    workflow: "order".into(),
                    input: json("null"),
                    spec: json("null"),
                    is_paused: false,
                    next_at: *next_at,
                    last_at: None,
                    created_at: at(0),
                };
                self.store.put_schedule(schedule).await.unwrap();
                "put".to_owned()
            }
            Op::Fire(firing) => self.fire(firing).await,
            Op::Look(now) => self.look(*now).await,
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
            Op::Release {
                id,
                epoch,
                ready_at,
            } => {
                self.store
                    .release(self.key(*id), Epoch(*epoch), *ready_at)
                    .await
                    .unwrap();
                "released".to_owned()
            }
            Op::Note { id, epoch } => {
                let note = json(&format!("\"met under {epoch}\""));
                let noted = self.store.note_obstacle(self.key(*id), Epoch(*epoch), note);
                noted.await.unwrap();
                "noted".to_owned()
            }
            Op::Post {
                id,
                kind,
                name: signal,
                dedup,
            } => {
                let message = NewMessage {
                    kind: *kind,
                    ..message(*signal, *dedup)
                };
                match self.store.post(&name(*id).into(), message).await {
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

    pub(super) async fn commit(&mut self, id: usize, target: Target, plan: &Plan) -> String {
        let inbox = self.store.inbox(self.key(id)).await.unwrap();
        let seen = plan.seen.and_then(|place| inbox.get(place));
        let change = plan.change.clone().map(|change| Change {
            release: change.release.map(|release| Release {
                seen: seen.map(|message| message.id),
                ..release
            }),
            ..change
        });
        let heeds = plan.heeds.map(|pauses| Heeds {
            seen: seen.map(|message| message.id),
            pauses,
        });
        let planned = Commit {
            heeds,
            events: (plan.first..plan.first + plan.count).map(event).collect(),
            change,
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
            Err(CommitError::Full(_)) => "full".to_owned(),
            Err(
                error @ (CommitError::Fenced
                | CommitError::Unread
                | CommitError::Exists
                | CommitError::Duplicate(_)),
            ) => error.to_string(),
            Err(error) => panic!("{error}"),
        }
    }

    pub(super) async fn claim_ready(
        &mut self,
        worker: usize,
        request: &WorkRequest,
        except: &[usize],
        only: Option<usize>,
    ) -> String {
        let Some(worker) = self.worker(worker) else {
            return "nobody".to_owned();
        };
        let request = WorkRequest {
            worker,
            except: except.iter().map(|id| self.key(*id)).collect(),
            only: only.map(|id| self.key(id)),
            ..request.clone()
        };
        let work = self.store.claim_ready(request).await.unwrap();
        let claimed: Vec<_> = work
            .claimed
            .into_iter()
            .map(|row| self.plain(row))
            .collect();
        let next = work.next.map(|next| whole(next, 30));
        format!("{claimed:?} {:?} {next:?}", work.held)
    }

    pub(super) async fn fire(&mut self, firing: &Firing) -> String {
        let start = firing.start.iter().map(|(id, placement)| {
            let row = row_of(*id, None, placement.clone(), firing.now);
            (row, event(1))
        });
        let fire = Fire {
            schedule: SCHEDULE.into(),
            advance: firing.advance,
            start: start.collect(),
            unfinished: firing.unfinished,
            now: firing.now,
        };
        let fired = self.store.fire(vec![fire]).await.unwrap();
        if let [Fired::Done { started, .. }] = &fired[..] {
            for id in started {
                let row = self.store.execution(id).await.unwrap().unwrap();
                self.keys.insert(id.to_string(), row.key);
            }
        }
        format!("{fired:?} {:?}", self.store.schedules().await.unwrap())
    }

    /// What is asked of all executions.
    pub(super) async fn look(&self, now: Timestamp) -> String {
        let orphans = ids(&self.store.orphans(now, IDS).await.unwrap());
        let queues: Vec<QueueRecord> = self.store.queues().await.unwrap();
        let workers = self.store.workers().await.unwrap();
        let alive = workers.iter().filter(|worker| worker.is_alive);
        let owns: Vec<u64> = alive.map(|worker| worker.owns).collect();
        let all = DueRequest {
            now,
            workflows: BTreeSet::from(["order".into()]),
            limit: IDS,
        };
        let due = self.store.due_schedules(all).await.unwrap();
        let mut barriers = Vec::new();
        for (id, key) in self.keys.iter().rev().take(IDS) {
            barriers.extend(
                self.store
                    .barrier(*key, now)
                    .await
                    .unwrap()
                    .map(|b| (id, b)),
            );
        }
        format!("{orphans:?} {queues:?} {owns:?} {due:?} {barriers:?}")
    }

    pub(super) fn key(&self, id: usize) -> ExecutionKey {
        self.keys
            .get(&name(id))
            .copied()
            .unwrap_or(ExecutionKey(1_000_000))
    }

    pub(super) fn worker(&self, worker: usize) -> Option<WorkerId> {
        self.workers[worker].as_ref().map(WorkerGuard::id)
    }

    pub(super) async fn row(&self, id: usize) -> Option<ExecutionRecord> {
        self.store.execution(&name(id).into()).await.unwrap()
    }

    pub(super) async fn last(&self, id: usize) -> u32 {
        self.store
            .last_event(self.key(id))
            .await
            .unwrap()
            .map_or(0, |event| event.seq.get())
    }

    /// The row without the numbers that each store gives as it likes: the owner becomes the place
    /// among all who ever joined.
    pub(super) fn plain(&self, row: ExecutionRecord) -> (ExecutionRecord, Option<usize>) {
        let owner = row.owner.map(|owner| {
            self.ids
                .iter()
                .position(|id| *id == owner)
                .expect("it joined")
        });
        let plain = ExecutionRecord {
            key: ExecutionKey(0),
            owner: None,
            taken_from: None,
            started_at: row.started_at.map(|at| whole(at, 60)),
            ..row
        };
        (plain, owner)
    }

    pub(super) async fn dump(&self, id: usize) -> String {
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
