//! Every call of the store fails once: afterwards another engine on the same file brings everything to its right end,
//! and the first one, which lives on, is not restarted.

use std::path::Path;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use flux::sqlite::SqliteOptions;
use flux::store::Store;
use flux::{Durability, Engine, ExecutionId};
use futures::future::select;
use futures::{FutureExt as _, StreamExt as _};

use crate::support::trip::{Calls, Mishap, Trip};
use crate::support::{Greeter, unique};
use crate::voyage::{Plan, check, escort, sail};

/// How many voyages are under way at once.
const AT_ONCE: usize = 6;

/// The fault of one voyage.
type Fault = (&'static str, usize, Mishap);

/// How the first engine sails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    /// It starts the voyage beside its worker.
    WithWorker,
    /// It awaits the voyage in person, without a worker.
    InPerson,
}

async fn store(file: &Path) -> Arc<dyn Store> {
    let options = SqliteOptions::new(file).durability(Durability::Relaxed);
    Arc::new(options.open().await.unwrap())
}

async fn engine(store: Arc<dyn Store>) -> Engine {
    let builder = Engine::builder().shared_store(store);
    let builder = builder.state(Greeter { word: "hello" });
    builder.build().await.unwrap()
}

/// What the first engine does.
async fn begin(way: Way, engine: Engine, id: ExecutionId, plan: Plan) {
    let on = sail.on(&engine);
    if way == Way::WithWorker {
        drop(on.start(plan).execution_id(&id).await);
        return std::future::pending().await;
    }
    // As long as the store works, the caller stays with it through its pauses.
    loop {
        let run = on.run(plan).execution_id(&id).await;
        if run.is_err() || run.is_ok_and(|run| run.has_finished()) {
            return;
        }
        let answered = on.resume(&id).at("course").with("west").await;
        if answered.is_err() {
            return;
        }
    }
}

async fn only_signal(engine: &Engine, id: &ExecutionId) {
    let pause = || tokio::time::sleep(Duration::from_millis(1));
    while engine
        .signal_once(id, "word", "ahoy", "once")
        .await
        .is_err()
    {
        pause().await;
    }
    while !engine.get(id).await.unwrap().has_finished() {
        pause().await;
    }
}

/// One voyage; the calls of the first engine's store.
async fn voyage(way: Way, fails: bool, fault: Option<Fault>) -> Calls {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("flux.db");
    let trip = Trip::new(store(&file).await, fault);
    let (first, other) = (
        engine(Arc::clone(&trip) as _).await,
        engine(store(&file).await).await,
    );
    let (id, plan) = (
        unique("voyage"),
        Plan {
            fails,
            has_tables: true,
            round: 0,
        },
    );
    let worker = (way == Way::WithWorker).then(|| first.worker().spawn());
    let begun = begin(way, first.clone(), id.clone(), plan);
    // The other engine has a worker from the mishap on, or when the first one has given up, so that the first one makes
    // every call it can.
    let (helped, heir) = (Arc::clone(&trip), other.clone());
    let help = tokio::spawn(async move {
        select(pin!(helped.tripped()), begun.boxed()).await;
        heir.worker().spawn()
    });
    match (way, fault) {
        // Undisturbed, the caller answers the pause itself.
        (Way::InPerson, None) => only_signal(&other, &id).await,
        _ => drop(escort(&other, &id, plan).await),
    }
    check(&other, &id, plan, usize::from(trip.has_tripped())).await;
    if let Some(worker) = worker {
        worker.stop().await;
    }
    if !trip.has_tripped() {
        help.abort();
    }
    if let Ok(worker) = help.await {
        worker.stop().await;
    }
    let maintenance = flux_core::maintain(file.to_str()).unwrap();
    let problems = maintenance.check().await.unwrap();
    assert!(problems.is_empty(), "{problems:#?}");
    assert_eq!(first.adopted() + other.adopted(), 0, "left over: {fault:?}");
    trip.calls()
}

async fn sweep(way: Way, fails: bool) {
    let calls = voyage(way, fails, None).await;
    assert!(calls["commit"] > 10, "{calls:?}");
    let faults = calls.into_iter().flat_map(|(operation, count)| {
        let numbers = 1..=count;
        numbers.flat_map(move |at| Mishap::ALL.map(|mishap| (operation, at, mishap)))
    });
    // Only a commit can be lost without anybody knowing.
    let faults =
        faults.filter(|(operation, _, mishap)| *operation == "commit" || *mishap != Mishap::IsLost);
    let voyages = futures::stream::iter(faults.map(|fault| async move {
        let done = tokio::spawn(voyage(way, fails, Some(fault))).await;
        assert!(done.is_ok(), "{way:?}, fails: {fails}, {fault:?}");
    }));
    voyages.buffer_unordered(AT_ONCE).collect::<()>().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_fault_of_a_store_beside_a_worker() {
    sweep(Way::WithWorker, true).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_fault_of_a_store_under_a_caller_who_waits() {
    sweep(Way::InPerson, false).await;
}
