//! Onlookers: engines that look at a store and steer it, and are nobody to it until they have to be.

use std::sync::Arc;

use flux::store::{MemoryStore, Store};
use flux::{Engine, Error, ExecutionContext, Status, TaskError, workflow};

use crate::support::{Greeter, Shelf, asleep};

#[workflow]
async fn wait_to_be_told(_ctx: ExecutionContext) -> Result<String, TaskError> {
    Ok(flux::signal::<String>("word").await)
}

async fn onlooker(shelf: &Shelf) -> Engine {
    shelf.builder().onlooker().build().await.unwrap()
}

/// How many are listed that live.
async fn owners(engine: &Engine) -> usize {
    let workers = engine.workers().await.unwrap();
    workers.iter().filter(|worker| worker.is_alive).count()
}

#[tokio::test]
async fn one_who_looks_is_not_listed() {
    for shelf in Shelf::each().await {
        let engine = shelf.engine().await;
        let onlooker = onlooker(&shelf).await;
        let handle = wait_to_be_told.on(&engine).start(()).await.unwrap();
        let run = onlooker.get(handle.execution_id()).await.unwrap();
        assert_eq!(run.status(), Status::Running);
        assert_eq!(onlooker.list().await.unwrap().len(), 1);
        assert_eq!(owners(&onlooker).await, 1);
    }
}

#[tokio::test]
async fn an_onlooker_steers_what_others_drive() {
    for shelf in Shelf::each().await {
        let engine = shelf.engine().await;
        let onlooker = onlooker(&shelf).await;
        let told = wait_to_be_told.on(&engine).start(()).await.unwrap();
        onlooker
            .signal(told.execution_id(), "word", "hello")
            .await
            .unwrap();
        assert!(told.wait().await.unwrap().has_succeeded());
        assert_eq!(owners(&onlooker).await, 1, "a signal needs no owner");

        let cancelled = wait_to_be_told.on(&engine).start(()).await.unwrap();
        onlooker.cancel(cancelled.execution_id()).await.unwrap();
        assert_eq!(cancelled.wait().await.unwrap().status(), Status::Cancelled);

        let paused = wait_to_be_told.on(&engine).start(()).await.unwrap();
        onlooker.pause(paused.execution_id()).await.unwrap();
        assert_eq!(paused.wait().await.unwrap().status(), Status::Paused);

        let ended = wait_to_be_told.on(&engine).start(()).await.unwrap();
        onlooker
            .terminate(ended.execution_id(), "enough")
            .await
            .unwrap();
        assert_eq!(ended.wait().await.unwrap().status(), Status::Terminated);
    }
}

#[tokio::test]
async fn an_onlooker_ends_what_nobody_drives_and_is_listed_from_then_on() {
    for shelf in Shelf::each().await {
        let engine = shelf.engine().await;
        let start = wait_to_be_told.on(&engine).start(());
        let queued = start.queue("later").await.unwrap().execution_id().clone();
        let start = wait_to_be_told.on(&engine).start(());
        let waiting = start.await.unwrap().execution_id().clone();
        engine.pause(&waiting).await.unwrap();
        let _ = asleep(&engine, &waiting).await;
        drop(engine);
        shelf.nobody_is_left().await;

        let onlooker = onlooker(&shelf).await;
        assert_eq!(owners(&onlooker).await, 0);
        onlooker.terminate(&waiting, "enough").await.unwrap();
        onlooker.cancel(&queued).await.unwrap();
        for (id, status) in [(waiting, Status::Terminated), (queued, Status::Cancelled)] {
            assert_eq!(onlooker.get(id).await.unwrap().status(), status);
        }
        assert_eq!(owners(&onlooker).await, 1);
    }
}

#[tokio::test]
async fn an_onlooker_makes_no_store() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("deep/flux.db");
    let built = Engine::builder().sqlite(&path).onlooker();
    let built = built.state(Greeter { word: "hello" });
    let Error::Store(error) = built.build().await.unwrap_err() else {
        panic!("the store could not be opened");
    };
    assert!(error.to_string().contains("`flux db migrate`"), "{error}");
    assert!(!folder.path().join("deep").exists());
}

/// Some tasks of this program need state; looking runs no body.
#[tokio::test]
async fn one_who_looks_needs_no_state() {
    let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
    let stateless = || Engine::builder().shared_store(Arc::clone(&store));
    let engine = stateless().state(Greeter { word: "hello" }).build().await;
    let run = wait_to_be_told
        .on(&engine.unwrap())
        .start(())
        .await
        .unwrap();
    let id = run.execution_id().clone();
    let refused = stateless().build().await;
    assert!(
        matches!(refused, Err(Error::MissingState { .. })),
        "{refused:?}"
    );
    let onlooker = stateless().onlooker().build().await.unwrap();
    assert_eq!(onlooker.get(&id).await.unwrap().status(), Status::Running);
    onlooker.replay(&id).await.unwrap();
}
