//! Annotate, run, pause, resume.

use std::sync::atomic::{AtomicU32, Ordering};

use flux::{Engine, EventKind, ExecutionContext, TaskError, task, workflow};

#[task]
async fn process_data(data: String) -> String {
    data.to_uppercase()
}

#[workflow]
async fn greet(ctx: ExecutionContext<String>) -> Result<String, TaskError> {
    process_data(ctx.input().clone()).await
}

static SOME_TASK: AtomicU32 = AtomicU32::new(0);

#[task]
async fn some_task() {
    SOME_TASK.fetch_add(1, Ordering::SeqCst);
}

#[workflow]
async fn pausable(_ctx: ExecutionContext) -> Result<String, TaskError> {
    some_task().await?;
    flux::pause("manual_approval").await;
    Ok("Complete".to_owned())
}

/// AT-1.
#[tokio::test]
async fn a_workflow_runs_and_its_history_is_four_events() {
    let engine = Engine::in_memory();
    let run = greet.on(&engine).run("hello".to_owned()).await.unwrap();
    assert_eq!(run.output().unwrap(), "HELLO");
    let kinds: Vec<_> = run
        .events()
        .await
        .unwrap()
        .iter()
        .map(|event| event.kind)
        .collect();
    let expected = [
        EventKind::WorkflowStarted,
        EventKind::TaskStarted,
        EventKind::TaskCompleted,
        EventKind::WorkflowCompleted,
    ];
    assert_eq!(kinds, expected);
    let again = greet.on(&engine).resume(run.execution_id()).await.unwrap();
    assert_eq!(again.output().unwrap(), "HELLO");
    assert_eq!(again.events().await.unwrap().len(), 4);
}

/// AT-2.
#[tokio::test(flavor = "multi_thread")]
async fn a_paused_execution_goes_on_when_it_is_resumed() {
    let folder = tempfile::tempdir().unwrap();
    let engine = Engine::open(folder.path().join("a/b/flux.db"))
        .await
        .unwrap();
    let run = pausable.on(&engine).run(()).await.unwrap();
    assert!(run.is_paused() && !run.has_finished() && !run.has_succeeded() && !run.has_failed());
    assert_eq!(run.pause_point(), Some("manual_approval"));
    assert_eq!(run.output(), None);
    let run = pausable
        .on(&engine)
        .resume(run.execution_id())
        .await
        .unwrap();
    assert_eq!(run.output().unwrap(), "Complete");
    let count = run.events().await.unwrap().len();
    let run = pausable
        .on(&engine)
        .resume(run.execution_id())
        .await
        .unwrap();
    assert_eq!(run.output().unwrap(), "Complete");
    assert_eq!(run.events().await.unwrap().len(), count);
    assert_eq!(SOME_TASK.load(Ordering::SeqCst), 1);
}
