//! Runs a program to its end: in virtual time, on one engine after another if the process is to die in between.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use flux::clock::{Clock, Timestamp};
use flux::store::{MemoryStore, Store};
use flux::{Engine, Error, Event, Execution, Status};
use futures::future::BoxFuture;
use tokio::time::Instant;

use super::brittle::{Brittle, Crash, Fault};
use super::deploy::Deploys;
use super::history;
use super::interpret::{Input, interpret, interpret_as_anyhow, interpret_as_text, value_of};
use super::program::Node;
use super::world::World;

pub(crate) const ID: &str = "p";

/// Time as tokio tells it, from a fixed beginning.
#[derive(Debug)]
struct Virtual(Instant);

const BEGINNING: Timestamp = Timestamp::from_micros(1_700_000_000_000_000);

impl Clock for Virtual {
    fn now(&self) -> Timestamp {
        BEGINNING.after(self.0.elapsed())
    }

    fn sleep_until(&self, moment: Timestamp) -> BoxFuture<'static, ()> {
        Box::pin(tokio::time::sleep_until(self.0 + moment.since(BEGINNING)))
    }
}

/// Which of the interpreters runs the program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Style {
    Task,
    Text,
    Anyhow,
}

/// One store and one world, which outlive the engines on them.
pub(crate) struct Ground {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) world: Arc<World>,
    began: Instant,
    deploys: Option<Deploys>,
}

/// An engine, and the store between it and the ground.
pub(crate) struct Life {
    pub(crate) engine: Engine,
    pub(crate) brittle: Arc<Brittle>,
}

impl Ground {
    pub(crate) fn new() -> Self {
        Self {
            store: Arc::new(MemoryStore::new()),
            world: Arc::default(),
            began: Instant::now(),
            deploys: None,
        }
    }

    /// Each process is of another build.
    pub(crate) fn with_deploys(self, deploys: Deploys) -> Self {
        let deploys = Some(deploys);
        Self { deploys, ..self }
    }

    /// A new process.
    pub(crate) async fn live(&self, always_replay: bool, crash: Option<Crash>) -> Life {
        self.live_on(Brittle::new(&self.store, &self.world, crash), always_replay)
            .await
    }

    /// A new process whose store fails some commits.
    pub(crate) async fn live_with(&self, faults: BTreeMap<u32, Fault>) -> Life {
        self.live_on(Brittle::faulty(&self.store, &self.world, faults), false)
            .await
    }

    pub(crate) fn clock(&self) -> impl Clock + use<> {
        Virtual(self.began)
    }

    async fn live_on(&self, brittle: Arc<Brittle>, always_replay: bool) -> Life {
        let brittle = brittle.after(self.deploys.as_ref().map(Deploys::next));
        let engine = Engine::builder()
            .shared_store(brittle.clone())
            .state(Arc::clone(&self.world))
            .always_replay(always_replay)
            .clock(self.clock())
            .build();
        let engine = engine.await.expect("an engine");
        self.world.set_engine(Some(&engine));
        Life { engine, brittle }
    }

    /// Every execution's history, by id.
    pub(crate) async fn histories(&self) -> BTreeMap<String, (Status, Vec<Event>)> {
        let all = flux::store::Filter {
            limit: usize::MAX >> 1,
            ..Default::default()
        };
        let mut histories = BTreeMap::new();
        for record in self.store.executions(all).await.expect("a memory store") {
            let first = flux::EventSeq::FIRST;
            let events = self.store.events(record.key, first, 1 << 24).await;
            histories.insert(
                record.id.to_string(),
                (record.status, events.expect("events")),
            );
        }
        histories
    }
}

type Ran = Result<Execution<u64>, Error>;

impl Life {
    /// Runs the program, or goes on with it, and answers its pauses until it has finished.
    pub(crate) async fn run(&self, style: Style, node: &Node) -> Ran {
        let input = Input {
            place: "0".to_owned(),
            node: node.clone(),
        };
        let mut ran = match style {
            Style::Task => interpret.on(&self.engine).run(input).execution_id(ID).await,
            Style::Text => {
                interpret_as_text
                    .on(&self.engine)
                    .run(input)
                    .execution_id(ID)
                    .await
            }
            Style::Anyhow => {
                interpret_as_anyhow
                    .on(&self.engine)
                    .run(input)
                    .execution_id(ID)
                    .await
            }
        };
        for _ in 0..200 {
            let run = match ran {
                Ok(run) => run,
                // A timer came first, and took the pause point away.
                Err(Error::NotPausedAt { .. } | Error::NotPaused { .. }) => self.get(style).await?,
                Err(error) => return Err(error),
            };
            if run.has_finished() {
                self.settle().await?;
                return Ok(run);
            }
            ran = match run.pause_points().first() {
                Some(point) => {
                    self.resume(style, Some((point.full_name(), value_of(point.name()))))
                        .await
                }
                None => self.resume(style, None).await,
            };
        }
        panic!("it is resumed again and again, and gets nowhere: {ran:?}")
    }

    /// Resumes, answering a pause point if one is given.
    pub(crate) async fn resume(&self, style: Style, answer: Option<(String, u64)>) -> Ran {
        let resume = match style {
            Style::Task => interpret.on(&self.engine).resume(ID),
            Style::Text => interpret_as_text.on(&self.engine).resume(ID),
            Style::Anyhow => interpret_as_anyhow.on(&self.engine).resume(ID),
        };
        match answer {
            Some((at, value)) => resume.at(at).with(&value).await,
            None => resume.await,
        }
    }

    async fn get(&self, style: Style) -> Ran {
        match style {
            Style::Task => interpret.on(&self.engine).get(ID).await,
            Style::Text => interpret_as_text.on(&self.engine).get(ID).await,
            Style::Anyhow => interpret_as_anyhow.on(&self.engine).get(ID).await,
        }
    }

    /// Children that were let go are cancelled by drivers of their own, or by a recovery: lets them come to
    /// their end.
    async fn settle(&self) -> Result<(), Error> {
        for _ in 0..100 {
            let recovered = self.engine.recover().await?;
            if let Some((_, error)) = recovered.failures.into_iter().next() {
                return Err(error);
            }
            let unfinished = self
                .engine
                .list()
                .status(Status::Running)
                .status(Status::Paused);
            if unfinished.await?.is_empty() {
                break;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        Ok(())
    }
}

/// Runs until the process is to die, if it does: then what ran is dropped, and nothing is given.
pub(crate) async fn crash_of<T>(life: &Life, run: impl Future<Output = T>) -> Option<T> {
    let ran = {
        let died = life.brittle.crashed();
        futures::pin_mut!(run, died);
        match futures::future::select(run, died).await {
            futures::future::Either::Left((ran, _)) => Some(ran),
            futures::future::Either::Right(_) => None,
        }
    };
    life.brittle.kill();
    ran
}

/// Runs `future` in virtual time, with the engine's dice loaded.
pub(crate) fn in_virtual_time<T>(seed: u64, future: impl Future<Output = T>) -> T {
    fastrand::seed(seed);
    let runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = { runtime }
        .enable_all()
        .start_paused(true)
        .build()
        .expect("a runtime");
    runtime.block_on(async {
        let limited = tokio::time::timeout(Duration::from_secs(24 * 3600), future);
        limited.await.expect("the program hangs")
    })
}

/// Checks every history on this ground.
pub(crate) async fn check_histories(ground: &Ground) -> Result<(), String> {
    for (id, (status, events)) in ground.histories().await {
        let checked = history::check(&events);
        let fail = match checked {
            Err(error) => error,
            Ok(()) if !status.is_finished() => format!("it is left {status}"),
            Ok(()) => continue,
        };
        return Err(format!("{id}: {fail}\n{}", all_lines(ground).await));
    }
    check_replays(ground).await
}

/// Goes through every history once more, to the end that is recorded, and carries out nothing.
async fn check_replays(ground: &Ground) -> Result<(), String> {
    let before = all_lines(ground).await;
    let life = ground.live(false, None).await;
    for id in ground.histories().await.into_keys() {
        let replayed = life.engine.replay(&id).await;
        if let Err(error) = replayed {
            return Err(format!("{id}: replayed: {error}\n{before}"));
        }
    }
    match all_lines(ground).await == before {
        true => Ok(()),
        false => Err(format!("replays have written something\n{before}")),
    }
}

/// Every history on this ground, as text.
pub(crate) async fn all_lines(ground: &Ground) -> String {
    let all = ground.histories().await.into_iter();
    all.map(|(id, (status, events))| format!("{id} {status}\n{}", history::lines(&events)))
        .collect()
}
