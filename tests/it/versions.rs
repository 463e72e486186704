//! Versions: an execution goes on with the code it was begun with, or with code that says it accepts it.

use std::sync::Arc;

use flux::store::{Commit, MemoryStore, NewExecution, Store, Target};
use flux::{
    Engine, Error, Event, EventKind, EventSeq, ExecutionContext, Payload, TaskError, workflow,
};
use serde::{Deserialize, Serialize};

use crate::support::{Shelf, unique};

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Old {
    name: String,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct New {
    name: String,
    #[serde(default)]
    size: u32,
}

mod first {
    use super::*;

    #[workflow(name = "migrate_boat")]
    pub(super) async fn migrate_boat(ctx: ExecutionContext<Old>) -> Result<String, TaskError> {
        flux::pause("half").await;
        Ok(format!("one {}", ctx.input().name))
    }
}

mod second {
    use super::*;

    #[workflow(name = "migrate_house", version = 3, accepts = 2..=3)]
    pub(super) async fn migrate(ctx: ExecutionContext<New>) -> Result<String, TaskError> {
        flux::pause("half").await;
        Ok(format!("{} {}", ctx.input().name, ctx.input().size))
    }

    #[workflow(name = "migrate_boat", version = 2)]
    pub(super) async fn migrate_boat(ctx: ExecutionContext<New>) -> Result<String, TaskError> {
        flux::pause("half").await;
        Ok(format!("two {}", ctx.input().name))
    }
}

#[tokio::test]
async fn an_execution_goes_on_with_the_version_it_was_begun_with() {
    let shelf = Shelf::memory();
    let engine = shelf.engine().await;
    let old = Old { name: "ark".into() };
    let new = New {
        name: "ark".into(),
        size: 2,
    };
    let one = first::migrate_boat.on(&engine).run(old).await.unwrap();
    let two = second::migrate_boat.on(&engine).run(new).await.unwrap();
    assert_eq!((one.version(), two.version()), (1, 2));
    // By name, and by either value: the recorded version decides.
    let one = engine.resume(one.execution_id()).await.unwrap();
    assert_eq!(one.output().unwrap(), "one ark");
    let two = second::migrate_boat
        .on(&engine)
        .resume(two.execution_id())
        .await
        .unwrap();
    assert_eq!(two.output().unwrap(), "two ark");
}

/// Writes an execution as a program with another version of the code would have.
async fn begun_by(version: u32) -> (Arc<dyn Store>, flux::ExecutionId) {
    let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
    let worker = store.join().await.unwrap();
    let id = unique("house");
    let at = std::time::SystemTime::now().into();
    let started = Event {
        seq: EventSeq::FIRST,
        at,
        kind: EventKind::WorkflowStarted,
        refers: None,
        name: Some("migrate_house".into()),
        payload: Some(Payload::from_json(r#"{"name":"hut"}"#)),
        meta: Some(Payload::from_json(format!("{{\"version\":{version}}}"))),
    };
    let new = NewExecution {
        id: id.clone(),
        workflow: "migrate_house".into(),
        version,
        created_at: at,
        parent: None,
        owner: Some(worker.id()),
        placement: flux::store::Placement::default(),
    };
    let commit = Commit {
        events: vec![started],
        ..Commit::to(Target::New(Box::new(new)))
    };
    store.commit(commit).await.unwrap();
    drop(worker);
    (store, id)
}

async fn engine_on(store: &Arc<dyn Store>) -> Engine {
    let builder = Engine::builder().shared_store(Arc::clone(store));
    builder
        .state(crate::support::Greeter { word: "hello" })
        .build()
        .await
        .unwrap()
}

#[tokio::test]
async fn a_version_that_nobody_accepts_is_refused_and_left_as_it_is() {
    let (store, id) = begun_by(1).await;
    let engine = engine_on(&store).await;
    let before = engine.history(&id).await.unwrap();
    let error = engine.resume(&id).await.unwrap_err();
    let Error::VersionMismatch {
        recorded,
        available,
        ..
    } = &error
    else {
        panic!("{error}")
    };
    assert_eq!(*recorded, 1);
    assert!(
        available.iter().any(|version| version.contains('3')),
        "{available:?}"
    );
    assert!(error.to_string().contains("accepts"), "{error}");
    assert!(second::migrate.on(&engine).resume(&id).await.is_err());
    let recovered = engine.recover().await.unwrap();
    assert!(
        matches!(recovered.failures[..], [(_, Error::VersionMismatch { .. })]),
        "{recovered:?}"
    );
    assert_eq!(engine.history(&id).await.unwrap(), before);
}

#[tokio::test]
async fn code_may_accept_what_an_older_version_began() {
    let (store, id) = begun_by(2).await;
    let engine = engine_on(&store).await;
    let run = second::migrate.on(&engine).resume(&id).await.unwrap();
    assert!(run.is_paused());
    assert_eq!(run.version(), 2);
    let run = engine.resume(&id).await.unwrap();
    assert_eq!(run.output().unwrap(), "hut 0");
}
