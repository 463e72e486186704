//! Where a call is plain and where it is not: outside workflows, in other tasks, in spawned tasks.

use std::sync::atomic::{AtomicUsize, Ordering};

use flux::{Engine, Error, EventKind, ExecutionContext, State, TaskError, task, workflow};

use crate::support::{Greeter, Shelf, count, kinds};

#[task]
async fn double(n: u32) -> u32 {
    n * 2
}

#[task(max_attempts = 3)]
async fn refuse_always(n: u32) -> Result<u32, String> {
    Err(format!("no {n}"))
}

#[task(blocking)]
fn double_slowly(n: u32) -> u32 {
    n * 2
}

#[task]
async fn quadruple(n: u32) -> Result<u32, TaskError> {
    double(double(n).await?).await
}

#[task]
pub(crate) async fn greet_by(greeter: State<Greeter>, name: String) -> String {
    format!("{}, {name}", greeter.word)
}

#[task]
async fn greet_twice(name: String) -> Result<String, TaskError> {
    let first = greet_by(name.clone()).await?;
    Ok(format!("{first}; {}", greet_by(name).await?))
}

#[tokio::test]
async fn outside_a_workflow_a_task_is_a_plain_call() {
    assert_eq!(double(4).await.unwrap(), 8);
    assert_eq!(quadruple(4).await.unwrap(), 16);
    assert_eq!(double_slowly(4).await.unwrap(), 8);
    let error = refuse_always(4).await.unwrap_err();
    assert_eq!(
        (error.message(), error.attempts(), error.call()),
        ("no 4", 1, None)
    );
    assert_eq!(
        flux::step("inline", async { Ok::<_, String>(1) })
            .await
            .unwrap(),
        1
    );
    assert!(flux::patched("anything"));
    flux::publish("key", &1);
    assert_ne!(flux::uuid(), flux::uuid());
    assert!(flux::task_context().is_none());
}

#[tokio::test]
async fn a_plain_call_takes_its_state_by_hand() {
    let call = greet_by("Ada".into()).with_state(Greeter { word: "good day" });
    assert_eq!(call.await.unwrap(), "good day, Ada");
    let error = greet_by("Ada".into()).await.unwrap_err();
    assert!(error.message().contains("with_state"), "{error}");
}

#[workflow]
async fn greet_all(ctx: ExecutionContext<String>) -> Result<(String, u32), TaskError> {
    let greeting = greet_twice(ctx.input().clone()).await?;
    let word = ctx.state::<Greeter>().word;
    Ok((
        format!("{greeting} ({word})"),
        quadruple(double_slowly(1).await?).await?,
    ))
}

#[tokio::test]
async fn state_is_injected_and_not_recorded_and_inner_tasks_are_plain() {
    for shelf in Shelf::every_way().await {
        let engine = shelf.engine().await;
        let run = greet_all.on(&engine).run("Ada".into()).await.unwrap();
        assert_eq!(
            run.output().unwrap(),
            &("hello, Ada; hello, Ada (hello)".to_owned(), 8)
        );
        let id = run.execution_id();
        assert_eq!(count(&engine, id, EventKind::TaskStarted).await, 3);
        let events = engine.history(id).await.unwrap();
        assert_eq!(events[1].payload.as_ref().unwrap().as_str(), r#"["Ada"]"#);
    }
}

#[tokio::test]
async fn missing_state_is_found_when_the_engine_is_built() {
    let error = Engine::builder().in_memory().build().await.unwrap_err();
    let Error::MissingState { task, state } = &error else {
        panic!("{error}")
    };
    assert!(task.ends_with("greet_by"), "{task}");
    assert!(state.contains("Greeter"), "{state}");
    assert!(error.to_string().contains(".state(value)"), "{error}");
}

/// An engine that was not checked: the call does not fail, the execution waits for an engine that has the state.
#[tokio::test]
async fn missing_state_is_never_a_failure_of_the_task() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("flux.db");
    let engine = Engine::open(&path).await.unwrap();
    let id = crate::support::unique("greet");
    let error = greet_all
        .on(&engine)
        .run("Ada".into())
        .execution_id(&id)
        .await
        .unwrap_err();
    // Its inner task is plain and fails, or the engine refuses: nothing of either may be recorded as the task's own.
    assert!(matches!(error, Error::MissingState { .. }), "{error}");
    let engine = Engine::builder()
        .sqlite(&path)
        .state(Greeter { word: "hi" })
        .build()
        .await
        .unwrap();
    let run = greet_all.on(&engine).resume(&id).await.unwrap();
    assert!(run.output().unwrap().0.starts_with("hi, Ada"));
}

static SPAWNED: AtomicUsize = AtomicUsize::new(0);

#[task]
async fn run_spawned() -> usize {
    SPAWNED.fetch_add(1, Ordering::SeqCst)
}

#[workflow]
async fn spawn_a_call(_ctx: ExecutionContext) -> String {
    tokio::spawn(run_spawned())
        .await
        .unwrap()
        .unwrap_err()
        .to_string()
}

/// PITFALL: a call handed to `tokio::spawn` ran as a plain function, unrecorded, once more in every replay.
#[tokio::test]
async fn a_call_that_leaves_its_workflow_errs_with_the_cure() {
    let engine = Shelf::memory().engine().await;
    let run = spawn_a_call.on(&engine).run(()).await.unwrap();
    let text = run.output().unwrap();
    assert!(
        text.contains("tokio::spawn") && text.contains("tokio::join!"),
        "{text}"
    );
    assert_eq!(SPAWNED.load(Ordering::SeqCst), 0);
    assert!(
        !kinds(&engine, run.execution_id())
            .await
            .contains(&EventKind::TaskStarted)
    );
}

#[workflow]
async fn run_inside(ctx: ExecutionContext<String>) -> Vec<String> {
    let engine = ctx.state::<Inside>().0.clone();
    let id = ctx.input().as_str();
    let on = greet_all.on(&engine);
    let errors = [
        on.run("Ada".into()).await.unwrap_err(),
        on.start("Ada".into()).await.unwrap_err(),
        on.resume(id).await.unwrap_err(),
        greet_all.run("Ada".into()).await.unwrap_err(),
        engine.signal(id, "go", &1).await.unwrap_err(),
        engine.recover().await.unwrap_err(),
    ];
    errors
        .iter()
        .map(|error| match error {
            Error::InsideWorkflow { .. } => error.to_string(),
            other => panic!("{other}"),
        })
        .collect()
}

struct Inside(Engine);

/// PITFALL: an execution started inside a workflow was started again in every replay.
#[tokio::test]
async fn what_would_happen_again_in_every_replay_is_refused_inside_a_workflow() {
    let shelf = Shelf::memory();
    let inner = Engine::in_memory();
    let engine = shelf
        .builder()
        .state(Inside(inner.clone()))
        .build()
        .await
        .unwrap();
    let run = run_inside.on(&engine).run("some-id".into()).await.unwrap();
    let texts = run.output().unwrap_or_else(|| panic!("{run}"));
    assert!(
        texts[0].contains("greet_all.run(..)") && texts[0].contains("greet_all.call(..)"),
        "{}",
        texts[0]
    );
    assert!(inner.list().await.unwrap().is_empty());
}

#[workflow]
async fn run_in_task(_ctx: ExecutionContext) -> Result<u32, TaskError> {
    start_another().await
}

#[task]
async fn start_another() -> anyhow::Result<u32> {
    let run = double_it.on(&Engine::in_memory()).run(4).await?;
    Ok(run.into_result()?)
}

#[workflow]
async fn double_it(ctx: ExecutionContext<u32>) -> Result<u32, TaskError> {
    double(*ctx.input()).await
}

#[tokio::test]
async fn a_task_may_run_a_workflow() {
    let engine = Shelf::memory().engine().await;
    assert_eq!(
        run_in_task.on(&engine).run(()).await.unwrap().output(),
        Some(&8)
    );
}
