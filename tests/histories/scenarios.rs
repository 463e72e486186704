//! What is recorded: each function brings executions as far as they are to be kept, and names them.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use flux::sqlite::SqliteStore;
use flux::store::{MemoryStore, Store};
use flux::time::secs;
use flux::{Engine, EventKind, ExecutionId};
use futures::FutureExt;
use futures::future::BoxFuture;
use tempfile::TempDir;

use crate::workflows::*;

/// Makes executions in a store of its own, and gives their ids, which name the files.
pub(crate) type Scenario = fn(Process) -> BoxFuture<'static, Vec<&'static str>>;

/// Those that any store can keep.
const IN_MEMORY: &[Scenario] = &[
    |on| values(on).boxed(),
    |on| waits(on).boxed(),
    |on| failures(on).boxed(),
    |on| races(on).boxed(),
    |on| resumed(on).boxed(),
    |on| attempts(on).boxed(),
    |on| cut_off(on).boxed(),
    |on| in_doubt(on).boxed(),
    |on| family(on).boxed(),
    |on| queued(on).boxed(),
    |on| deferred(on).boxed(),
    |on| cancelled(on).boxed(),
    |on| dropped(on).boxed(),
    |on| late(on).boxed(),
    |on| terminated(on).boxed(),
    |on| rolled_back(on).boxed(),
    |on| begun_again(on).boxed(),
    |on| woken(on).boxed(),
    |on| panicked(on).boxed(),
];

/// Those with statements.
const IN_A_FILE: &[Scenario] = &[|on| transactions(on).boxed()];

/// All scenarios, each with a store for it.
pub(crate) async fn all() -> Vec<(Scenario, Process)> {
    let mut all: Vec<_> = IN_MEMORY
        .iter()
        .map(|one| (*one, Process::in_memory()))
        .collect();
    for one in IN_A_FILE {
        all.push((*one, Process::in_a_file().await));
    }
    all
}

/// Where a scenario happens: one store, and as many engines on it, one after another, as it wants.
#[derive(Clone)]
pub(crate) struct Process {
    pub(crate) store: Arc<dyn Store>,
    _folder: Option<Arc<TempDir>>,
}

impl Process {
    /// With a paused clock, nothing that happens there takes time.
    fn in_memory() -> Self {
        Self {
            store: Arc::new(MemoryStore::new()),
            _folder: None,
        }
    }

    async fn in_a_file() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = SqliteStore::open(folder.path().join("flux.db")).await;
        Self {
            store: Arc::new(store.unwrap()),
            _folder: Some(Arc::new(folder)),
        }
    }

    pub(crate) async fn engine(&self) -> Engine {
        let builder = Engine::builder().shared_store(Arc::clone(&self.store));
        builder.build().await.unwrap()
    }
}

async fn until(engine: &Engine, id: &str, kind: EventKind) {
    let id = ExecutionId::from(id);
    loop {
        let events = engine.history(&id).await.unwrap();
        if events.iter().any(|event| event.kind == kind) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

async fn until_begun() {
    while !HAS_BEGUN.load(Ordering::SeqCst) {
        tokio::task::yield_now().await;
    }
}

async fn values(on: Process) -> Vec<&'static str> {
    let run = draw_lots
        .on(&on.engine().await)
        .run(3)
        .execution_id("values");
    assert_eq!(run.await.unwrap().output(), Some(&25));
    vec!["values"]
}

async fn waits(on: Process) -> Vec<&'static str> {
    let engine = on.engine().await;
    for id in ["waiting", "waits"] {
        let handle = steep_tea.on(&engine).start(()).execution_id(id);
        let handle = handle.await.unwrap();
        handle.signal("sugar", &2).await.unwrap();
        assert!(handle.wait().await.unwrap().is_paused());
    }
    let resume = steep_tea.on(&engine).resume("waits").with(&1);
    assert_eq!(resume.await.unwrap().output(), Some(&3));
    vec!["waiting", "waits"]
}

async fn failures(on: Process) -> Vec<&'static str> {
    let run = pour_tea
        .on(&on.engine().await)
        .run(())
        .execution_id("failures");
    assert!(run.await.unwrap().has_succeeded());
    vec!["failures"]
}

async fn races(on: Process) -> Vec<&'static str> {
    let run = race_spoons
        .on(&on.engine().await)
        .run(())
        .execution_id("races");
    assert!(run.await.unwrap().has_succeeded());
    vec!["races"]
}

async fn resumed(on: Process) -> Vec<&'static str> {
    let engine = on.engine().await;
    for id in ["failed", "resumed"] {
        let run = bake.on(&engine).run(()).execution_id(id);
        assert!(run.await.unwrap().has_failed());
    }
    IS_REPAIRED.store(true, Ordering::SeqCst);
    let run = bake.on(&engine).resume("resumed").await.unwrap();
    assert!(run.has_succeeded());
    vec!["failed", "resumed"]
}

async fn attempts(on: Process) -> Vec<&'static str> {
    let run = try_twice
        .on(&on.engine().await)
        .run(())
        .execution_id("attempts");
    assert!(run.await.unwrap().has_succeeded());
    vec!["attempts"]
}

async fn cut_off(on: Process) -> Vec<&'static str> {
    let engine = on.engine().await;
    let run = be_cut_off.on(&engine).run(()).execution_id("cut_off");
    tokio::select! {
        _ = run => panic!("its body never ends"),
        () = until_begun() => {}
    }
    let resume = be_cut_off.on(&engine).resume("cut_off");
    assert!(resume.await.unwrap().has_succeeded());
    vec!["cut_off"]
}

async fn in_doubt(on: Process) -> Vec<&'static str> {
    let engine = on.engine().await;
    let run = be_in_doubt.on(&engine).run(()).execution_id("in_doubt");
    tokio::select! {
        _ = run => panic!("its body never ends"),
        () = until_begun() => {}
    }
    let resume = be_in_doubt.on(&engine).resume("in_doubt");
    assert!(resume.await.unwrap().has_succeeded());
    vec!["in_doubt"]
}

async fn family(on: Process) -> Vec<&'static str> {
    let engine = on.engine().await;
    let run = lay_table.on(&engine).run(()).execution_id("family");
    assert!(run.await.unwrap().has_succeeded());
    let children = ["family.2", "family.3", CHILD_THAT_IS_DROPPED];
    until(&engine, CHILD_THAT_IS_DROPPED, EventKind::WorkflowCancelled).await;
    [&["family"][..], &children].concat()
}

/// The number is that of the call.
const CHILD_THAT_IS_DROPPED: &str = "family.6";

async fn queued(on: Process) -> Vec<&'static str> {
    let engine = on.engine().await;
    let worker = engine.worker().spawn();
    let start = draw_lots.on(&engine).start(1).execution_id("queued");
    let handle = start.queue("kitchen").delay(secs(5)).await.unwrap();
    assert!(handle.wait().await.unwrap().has_succeeded());
    let start = draw_lots
        .on(&engine)
        .start(1)
        .execution_id("waiting_in_queue");
    start.queue("closed").delay(secs(50)).await.unwrap();
    worker.stop().await;
    vec!["queued", "waiting_in_queue"]
}

async fn deferred(on: Process) -> Vec<&'static str> {
    let engine = on.engine().await;
    let start = stir_twice.on(&engine).start(()).execution_id("deferred");
    start.await.unwrap();
    until(&engine, "deferred", EventKind::TaskStarted).await;
    tokio::time::sleep(secs(1)).await;
    engine.shutdown(secs(10)).await.unwrap();
    let next = on.engine().await;
    until(&next, "deferred", EventKind::TaskDeferred).await;
    let worker = next.worker().spawn();
    until(&next, "deferred", EventKind::WorkflowCompleted).await;
    worker.stop().await;
    vec!["deferred"]
}

async fn cancelled(on: Process) -> Vec<&'static str> {
    let engine = on.engine().await;
    let start = keep_warm.on(&engine).start(()).execution_id("cancelled");
    let handle = start.await.unwrap();
    until(&engine, "cancelled", EventKind::CancelAwaited).await;
    handle.cancel().await.unwrap();
    assert!(handle.wait().await.unwrap().is_cancelled());
    vec!["cancelled"]
}

async fn dropped(on: Process) -> Vec<&'static str> {
    let engine = on.engine().await;
    let run = wait_for_guests.on(&engine).run(()).execution_id("dropped");
    assert!(run.await.unwrap().is_paused());
    engine.cancel("dropped").await.unwrap();
    until(&engine, "dropped", EventKind::WorkflowCancelled).await;
    vec!["dropped"]
}

async fn late(on: Process) -> Vec<&'static str> {
    let run = be_late.on(&on.engine().await).run(()).execution_id("late");
    assert!(run.await.unwrap().has_failed());
    vec!["late"]
}

async fn terminated(on: Process) -> Vec<&'static str> {
    let engine = on.engine().await;
    let run = wait_for_guests
        .on(&engine)
        .run(())
        .execution_id("terminated");
    assert!(run.await.unwrap().is_paused());
    engine.terminate("terminated", "fire").await.unwrap();
    until(&engine, "terminated", EventKind::WorkflowTerminated).await;
    vec!["terminated"]
}

async fn rolled_back(on: Process) -> Vec<&'static str> {
    let engine = on.engine().await;
    for id in ["rolled_back", "rolled_back_and_resumed"] {
        let run = spill.on(&engine).run(()).execution_id(id);
        assert!(run.await.unwrap().is_paused());
        let resume = spill.on(&engine).resume(id);
        assert!(resume.await.unwrap().has_failed());
    }
    IS_REPAIRED.store(true, Ordering::SeqCst);
    let resumed = ExecutionId::from("rolled_back_and_resumed");
    let run = spill.on(&engine).resume(&resumed).await.unwrap();
    assert!(run.is_paused());
    let run = spill.on(&engine).resume(&resumed).await.unwrap();
    assert!(run.has_succeeded());
    vec!["rolled_back", "rolled_back_and_resumed"]
}

async fn begun_again(on: Process) -> Vec<&'static str> {
    let engine = on.engine().await;
    let run = pour_for_ever.on(&engine).run(1).execution_id("begun_again");
    assert!(run.await.unwrap().has_succeeded());
    vec!["begun_again"]
}

async fn woken(on: Process) -> Vec<&'static str> {
    let engine = on.engine().await;
    let run = wait_for_kettle.on(&engine).run(()).execution_id("woken");
    assert!(run.await.unwrap().has_succeeded());
    vec!["woken"]
}

async fn panicked(on: Process) -> Vec<&'static str> {
    let run = trip_over
        .on(&on.engine().await)
        .run(())
        .execution_id("panicked");
    assert!(run.await.unwrap().has_failed());
    vec!["panicked"]
}

async fn transactions(on: Process) -> Vec<&'static str> {
    let run = pay_bill
        .on(&on.engine().await)
        .run(())
        .execution_id("transactions");
    let run = run.await.unwrap();
    assert_eq!(run.output(), Some(&30), "{run}");
    vec!["transactions"]
}
