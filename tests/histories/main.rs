//! Histories that earlier versions recorded, replayed with the code of today.
//!
//! A file is never changed: it stands for executions that are in flight at users. Where a replay fails, the replay is at
//! fault. To record what is new, add a workflow and a scenario, and run
//!
//! ```sh
//! UPDATE_HISTORIES=1 cargo test -p flux-tests --test histories
//! ```
//!
//! which writes the files that this version has not recorded yet.

#![allow(
    clippy::pedantic,
    clippy::unwrap_used,
    reason = "tests are written to be read, and one that cannot go on fails"
)]

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::atomic::Ordering;

use flux::sqlite::SqliteStore;
use flux::store::Store;
use flux::{Engine, Error, EventKind, ExecutionId};

mod recorded;
mod scenarios;
mod workflows;

use recorded::{Counts, Recorded, files};
use scenarios::Process;

const HINT: &str = "executions like it that are in flight at users could not continue: mend the replay, not the file";

/// An engine on a new file, and what has to outlive it.
struct Place {
    engine: Engine,
    store: std::sync::Arc<SqliteStore>,
    _folder: tempfile::TempDir,
}

impl Place {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = SqliteStore::open(folder.path().join("flux.db"));
        let store = std::sync::Arc::new(store.await.unwrap());
        let shared: std::sync::Arc<dyn Store> = store.clone();
        let engine = Engine::builder().shared_store(shared);
        Self {
            engine: engine.build().await.unwrap(),
            store,
            _folder: folder,
        }
    }

    /// Replays a history as if it had been recorded here.
    async fn replay(&self, history: &Recorded) -> Result<Counts, Error> {
        let owner = self.store.join().await.unwrap();
        history.put_into(&self.store, owner.id()).await;
        let replayed = self.engine.replay(history.row.id.as_str()).await?;
        Ok(replayed.into())
    }
}

/// An error with what caused it.
fn whole(error: &dyn std::error::Error) -> String {
    let source = error.source().map(|source| format!(": {}", whole(source)));
    format!("{error}{}", source.unwrap_or_default())
}

async fn fault_of(file: &Path) -> Option<String> {
    let history = Recorded::read(file);
    let fault = match Place::new().await.replay(&history).await {
        Ok(counts) if counts == history.row.replayed => return None,
        Ok(counts) => format!("replayed {counts:?} instead of {:?}", history.row.replayed),
        Err(error) => whole(&error),
    };
    Some(format!("{}: {fault}", file.display()))
}

#[tokio::test]
async fn every_recorded_history_is_replayed_by_the_present_code() {
    let mut faults = Vec::new();
    for file in files() {
        faults.extend(fault_of(&file).await);
    }
    assert!(faults.is_empty(), "{}\n{HINT}", faults.join("\n"));
}

/// The other tests would see nothing if a replay compared nothing.
#[tokio::test]
async fn a_history_with_another_call_is_refused() {
    let mut history = Recorded::read(&files()[0].with_file_name("values.jsonl"));
    let call = history
        .events
        .iter_mut()
        .find(|event| event.name.as_deref() == Some("boil"));
    call.unwrap().name = Some("fry".into());
    let replayed = Place::new().await.replay(&history).await;
    assert!(
        matches!(replayed, Err(Error::NonDeterminism { .. })),
        "{replayed:?}"
    );
}

#[test]
fn every_kind_of_event_is_in_a_history() {
    let recorded: BTreeSet<_> = files()
        .iter()
        .flat_map(|file| Recorded::read(file).kinds().collect::<Vec<_>>())
        .collect();
    let missing: Vec<_> = EventKind::ALL
        .iter()
        .filter(|kind| !recorded.contains(kind))
        .collect();
    assert!(
        missing.is_empty(),
        "no history has {missing:?}: add a workflow, and record it with UPDATE_HISTORIES=1"
    );
}

/// Records what this version has not recorded, and never touches a file that exists.
#[tokio::test(start_paused = true)]
async fn each_scenario_is_recorded() {
    let folder = recorded::folder().join(env!("CARGO_PKG_VERSION"));
    for (scenario, process) in scenarios::all().await {
        workflows::IS_REPAIRED.store(false, Ordering::SeqCst);
        workflows::HAS_BEGUN.store(false, Ordering::SeqCst);
        for id in scenario(process.clone()).await {
            let history = history_of(&process, id).await;
            let file = folder.join(format!("{id}.jsonl"));
            if std::env::var_os("UPDATE_HISTORIES").is_some() && !file.exists() {
                history.write_new(&file).unwrap();
            }
            let is_recorded = files()
                .iter()
                .any(|other| other.file_name() == file.file_name());
            assert!(
                is_recorded,
                "`{id}` is not recorded: run this test with UPDATE_HISTORIES=1"
            );
        }
    }
}

async fn history_of(process: &Process, id: &str) -> Recorded {
    let engine = process.engine().await;
    let id = ExecutionId::from(id);
    let record = process.store.execution(&id).await.unwrap().unwrap();
    let events = engine.history(&id).await.unwrap();
    let replayed = engine.replay(&id).await;
    let replayed = replayed.unwrap_or_else(|error| panic!("{id}: {}", whole(&error)));
    Recorded::of(&record, &events, replayed)
}
