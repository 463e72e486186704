//! What user code starts without naming an engine: in a body on the engine that runs it, in a workflow not at all.

use flux::sqlite::transaction;
use flux::{Engine, Error, ExecutionContext, ExecutionId, TaskError, task, task_context, workflow};
use tokio::sync::Notify;

use crate::support::{Greeter, Shelf, unique};

#[workflow]
async fn greet_guest(ctx: ExecutionContext<String>) -> String {
    format!("hello {}", ctx.input())
}

/// Starts, runs and reads, none of it with an engine.
async fn greet_all(id: &str) -> Result<String, Error> {
    let run = greet_guest
        .run("ada".to_owned())
        .execution_id(format!("{id}-run"));
    assert!(run.await?.has_succeeded());
    let start = greet_guest
        .start("bob".to_owned())
        .execution_id(format!("{id}-start"));
    let handle = start.await?;
    assert!(handle.wait().await?.has_succeeded());
    let read = greet_guest.get(format!("{id}-start")).await?;
    let again = greet_guest.resume(format!("{id}-run")).await?;
    Ok(format!(
        "{}, {}",
        again.output().unwrap(),
        read.output().unwrap()
    ))
}

const GREETED: &str = "hello ada, hello bob";

#[task]
async fn greet_in_a_task(id: String) -> Result<String, String> {
    greet_all(&id).await.map_err(|error| error.to_string())
}

#[task(blocking)]
fn greet_in_a_thread(id: String) -> Result<String, String> {
    futures::executor::block_on(greet_all(&id)).map_err(|error| error.to_string())
}

#[task(fallback = greet_in_a_fallback)]
async fn fails(_id: String) -> Result<String, String> {
    Err("no".to_owned())
}

async fn greet_in_a_fallback(id: String) -> Result<String, String> {
    greet_all(&id).await.map_err(|error| error.to_string())
}

#[task(rollback = greet_in_a_rollback)]
async fn is_undone(id: String) -> String {
    id
}

async fn greet_in_a_rollback(id: String, _: Option<String>) -> Result<String, String> {
    greet_all(&id).await.map_err(|error| error.to_string())
}

/// A plain call inside a body belongs to that body, also one that has a thread of its own.
#[task]
async fn greet_in_a_call(id: String) -> Result<String, TaskError> {
    let greeted = greet_in_a_task(id.clone()).await?;
    assert_eq!(greet_in_a_thread(format!("{id}-thread")).await?, greeted);
    Ok(greeted)
}

/// What a body spawns has left it; what it made in the body, or asks the engine for, has not.
#[task]
async fn greet_in_what_it_spawns(id: String) -> Result<String, String> {
    let engine = task_context().unwrap().engine().unwrap();
    let run = greet_guest
        .run("ada".to_owned())
        .execution_id(format!("{id}-run"));
    let spawned = tokio::spawn(async move {
        let start = greet_guest.on(&engine).start("bob".to_owned());
        let handle = start.execution_id(format!("{id}-start")).await?;
        let (ada, bob) = (run.await?, handle.wait().await?);
        Ok::<_, Error>(format!(
            "{}, {}",
            ada.output().unwrap(),
            bob.output().unwrap()
        ))
    });
    spawned.await.unwrap().map_err(|error| error.to_string())
}

async fn greet_everywhere(id: String) -> Result<Vec<String>, TaskError> {
    let step = id.clone();
    let made_outside = greet_guest
        .run("ada".to_owned())
        .execution_id(format!("{id}-made-run"));
    Ok(vec![
        greet_in_a_task(format!("{id}-task")).await?,
        greet_in_a_thread(format!("{id}-thread")).await?,
        fails(format!("{id}-fallback")).await?,
        greet_in_a_call(format!("{id}-call")).await?,
        greet_in_what_it_spawns(format!("{id}-spawned")).await?,
        flux::step(
            "step",
            async move { greet_all(&format!("{step}-step")).await },
        )
        .await?,
        flux::step("made outside", async move {
            Ok::<_, Error>(format!(
                "{}, hello bob",
                made_outside.await?.output().unwrap()
            ))
        })
        .await?,
    ])
}

#[workflow]
async fn greet_from_bodies(ctx: ExecutionContext) -> Result<Vec<String>, TaskError> {
    let id = ctx.execution_id().to_string();
    let at_the_end = format!("{id}-exit");
    ctx.on_exit(move || greet_in_a_task(at_the_end));
    greet_everywhere(id).await
}

#[workflow]
async fn greet_from_rollbacks(ctx: ExecutionContext) -> Result<(), TaskError> {
    is_undone(format!("{}-rollback", ctx.execution_id())).await?;
    flux::step("fails", async { Err::<(), _>("no") }).await
}

async fn assert_are_here(engine: &Engine, ids: impl IntoIterator<Item = String>) {
    for id in ids {
        let run = engine.get(ExecutionId::from(id)).await.unwrap();
        assert!(run.has_succeeded(), "{run}");
    }
}

/// The file of the global engine would lie in the folder that the tests run in.
fn assert_nothing_elsewhere() {
    assert!(!std::path::Path::new("flux.db").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_names_no_engine_starts_on_its_own() {
    let shelf = Shelf::memory();
    let engine = shelf.engine().await;
    let id = unique("greet");
    let run = greet_from_bodies.on(&engine).run(()).execution_id(&id);
    let greeted = run.await.unwrap().into_result().unwrap();
    assert_eq!(greeted, [GREETED; 7]);
    let places = [
        "task", "thread", "fallback", "call", "spawned", "step", "exit",
    ];
    assert_are_here(&engine, places.map(|place| format!("{id}-{place}-run"))).await;
    assert_are_here(&engine, places.map(|place| format!("{id}-{place}-start"))).await;
    let others = ["made-run", "call-thread-run", "call-thread-start"];
    assert_are_here(&engine, others.map(|other| format!("{id}-{other}"))).await;
    assert_nothing_elsewhere();
}

#[tokio::test]
async fn a_rollback_that_names_no_engine_starts_on_its_own() {
    let engine = Shelf::memory().engine().await;
    let id = unique("greet");
    let run = greet_from_rollbacks.on(&engine).run(()).execution_id(&id);
    assert!(run.await.unwrap().has_failed());
    assert_are_here(
        &engine,
        ["run", "start"].map(|what| format!("{id}-rollback-{what}")),
    )
    .await;
    assert_nothing_elsewhere();
}

/// A start that a workflow makes and hands to `tokio::spawn` would happen at every replay.
#[workflow]
async fn start_in_what_it_spawns(_ctx: ExecutionContext) -> Result<String, String> {
    let start = greet_guest.run("ada".to_owned());
    match tokio::spawn(start).await.unwrap() {
        Ok(run) => Ok(run.to_string()),
        Err(error) => Err(error.to_string()),
    }
}

#[tokio::test]
async fn a_start_that_a_workflow_spawns_is_refused() {
    let engine = Shelf::memory().engine().await;
    let run = start_in_what_it_spawns.on(&engine).run(()).await.unwrap();
    let message = run.failure().unwrap().message().to_owned();
    assert!(
        message.contains("would happen again at every replay"),
        "{message}"
    );
    assert_nothing_elsewhere();
}

#[workflow]
async fn start_in_a_transaction(_ctx: ExecutionContext) -> Result<Vec<String>, TaskError> {
    transaction("start", |_| {
        let start = futures::executor::block_on(greet_guest.start("ada".to_owned()));
        let errors = [
            start.map(drop).unwrap_err(),
            futures::executor::block_on(greet_guest.resume("ada"))
                .map(drop)
                .unwrap_err(),
        ];
        Ok::<_, Error>(errors.map(|error| error.to_string()).to_vec())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_start_in_the_statements_of_a_transaction_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let builder = Engine::builder().sqlite(folder.path().join("flux.db"));
    let engine = builder.state(Greeter { word: "hi" }).build().await.unwrap();
    let run = start_in_a_transaction.on(&engine).run(()).await.unwrap();
    for message in run.into_result().unwrap() {
        assert!(
            message.contains("inside a transaction would wait"),
            "{message}"
        );
    }
    assert_nothing_elsewhere();
}

/// A destructor of a body is code of the body.
struct StartsWhenDropped(String);

impl Drop for StartsWhenDropped {
    fn drop(&mut self) {
        let run = greet_guest
            .run("ada".to_owned())
            .execution_id(self.0.clone());
        tokio::spawn(run);
    }
}

static BEGUN: Notify = Notify::const_new();

#[task]
async fn is_cut_off(id: String) {
    let _starts = StartsWhenDropped(id);
    BEGUN.notify_one();
    std::future::pending().await
}

#[task]
async fn until_it_has_begun() {
    BEGUN.notified().await;
}

#[workflow]
async fn cut_off(ctx: ExecutionContext) -> Result<(), TaskError> {
    let id = format!("{}-dropped", ctx.execution_id());
    tokio::select! {
        never = is_cut_off(id) => never,
        begun = until_it_has_begun() => begun,
    }
}

#[tokio::test]
async fn what_a_body_starts_while_it_is_dropped_is_on_its_engine() {
    let engine = Shelf::memory().engine().await;
    let id = unique("cut");
    let run = cut_off.on(&engine).run(()).execution_id(&id);
    assert!(run.await.unwrap().has_succeeded());
    let dropped = ExecutionId::from(format!("{id}-dropped"));
    while engine.get(&dropped).await.is_err() {
        tokio::task::yield_now().await;
    }
    let run = greet_guest.on(&engine).run("ada".to_owned());
    let run = run.execution_id(dropped).await.unwrap();
    assert!(run.has_succeeded(), "{run}");
    assert_nothing_elsewhere();
}
