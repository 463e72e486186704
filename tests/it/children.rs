//! Children: workflows called by workflows, with ids and histories of their own.

use std::time::Duration;

use flux::{
    Engine, Error, EventKind, ExecutionContext, ExecutionId, Status, TaskError, TaskErrorKind,
    task, task_context, workflow,
};

use crate::support::agree::{Output, check};
use crate::support::{Shelf, begin, code_of, count, ran, set_code, unique};

#[task]
async fn brew(cup: u32) -> u32 {
    begin();
    tokio::time::sleep(Duration::from_millis(5)).await;
    cup * 2
}

#[workflow]
async fn make_coffee(ctx: ExecutionContext<u32>) -> Result<u32, TaskError> {
    let cup = brew(*ctx.input()).await?;
    brew(cup).await
}

#[workflow]
async fn serve_guests(ctx: ExecutionContext<u32>) -> Result<Vec<u32>, TaskError> {
    let first = make_coffee.call(*ctx.input()).await?;
    let (second, third) = tokio::join!(make_coffee.call(10), make_coffee.call(20));
    brew(0).await?;
    Ok(vec![first, second?, third?])
}

async fn children_of(engine: &Engine, id: &ExecutionId) -> Vec<flux::Execution> {
    let mut children = engine.list().children_of(id).await.unwrap();
    children.sort_by(|one, other| one.execution_id().cmp(other.execution_id()));
    children
}

#[tokio::test]
async fn a_child_has_an_id_and_a_history_of_its_own_linked_both_ways() {
    for shelf in Shelf::every_way().await {
        let engine = shelf.engine().await;
        let run = serve_guests.on(&engine).run(1).await.unwrap();
        assert_eq!(run.output().unwrap(), &[4, 40, 80]);
        let id = run.execution_id();
        let children = children_of(&engine, id).await;
        assert_eq!(children.len(), 3);
        let history = engine.history(id).await.unwrap();
        for child in &children {
            assert_eq!(child.parent(), Some(id));
            assert_eq!(child.workflow(), "make_coffee");
            assert!(child.has_succeeded());
            assert_eq!(ran(child.execution_id(), "brew"), 2);
            assert_eq!(child.events().await.unwrap().len(), 6);
            let links = |event: &&flux::Event| {
                let meta = event
                    .meta
                    .as_ref()
                    .map(ToString::to_string)
                    .unwrap_or_default();
                event.kind == EventKind::ChildStarted
                    && meta.contains(child.execution_id().as_str())
            };
            assert_eq!(history.iter().filter(links).count(), 1);
        }
        assert_eq!(ran(id, "brew"), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn children_agree_live_and_in_every_replay_and_survive_every_crash() {
    check(serve_guests, 1, Output::Same).await;
}

#[workflow]
async fn review_text(ctx: ExecutionContext<String>) -> Result<String, TaskError> {
    brew(1).await?;
    let word = flux::pause("review").value::<String>().await;
    Ok(format!("{} {word}", ctx.input()))
}

#[workflow]
async fn publish_text(ctx: ExecutionContext<String>) -> Result<String, TaskError> {
    let reviewed = review_text.call(ctx.input().clone()).await?;
    brew(2).await?;
    Ok(reviewed)
}

#[workflow]
async fn publish_book(ctx: ExecutionContext<String>) -> Result<String, TaskError> {
    publish_text.call(ctx.input().clone()).await
}

/// PITFALL: a run whose child paused waited for ever.
#[tokio::test]
async fn a_paused_child_pauses_its_parent_and_resuming_the_parent_resumes_it() {
    for shelf in Shelf::every_way().await {
        for at in [None, Some("review_text/review"), Some("review")] {
            let run = publish_text
                .on(&shelf.engine().await)
                .run("news".into())
                .await
                .unwrap();
            let id = run.execution_id().clone();
            assert!(run.is_paused());
            assert_eq!(run.pause_point(), Some("review"));
            assert_eq!(run.pause_points()[0].full_name(), "review_text/review");
            assert_eq!(run.pause_points()[0].path(), ["review_text"]);
            let child = run.pause_points()[0].execution_id().clone();
            drop(run);
            shelf.nobody_is_left().await;

            let engine = shelf.engine().await;
            let before = (
                engine.history(&id).await.unwrap(),
                engine.history(&child).await.unwrap(),
            );
            let on = publish_text.on(&engine);
            let error = on.resume(&id).await.unwrap_err();
            assert!(
                matches!(error, Error::ResumeValueRequired { .. }),
                "{error}"
            );
            let error = on.resume(&id).with(&5).await.unwrap_err();
            assert!(matches!(error, Error::InvalidInput { .. }), "{error}");
            let error = on
                .resume(&id)
                .at("other/review")
                .with("good")
                .await
                .unwrap_err();
            assert!(matches!(error, Error::NotPausedAt { .. }), "{error}");
            let after = (
                engine.history(&id).await.unwrap(),
                engine.history(&child).await.unwrap(),
            );
            assert_eq!(after, before);
            assert!(engine.get(&id).await.unwrap().is_paused());
            assert!(engine.get(&child).await.unwrap().is_paused());

            let resume = on.resume(&id).with("good");
            let run = match at {
                Some(at) => resume.at(at).await.unwrap(),
                None => resume.await.unwrap(),
            };
            assert_eq!(run.output().unwrap(), "news good", "{run}");
            assert_eq!(ran(&child, "brew"), 1);
            assert_eq!(
                engine.get(&child).await.unwrap().status(),
                Status::Completed
            );
        }
    }
}

#[tokio::test]
async fn a_pause_of_a_grandchild_is_answered_from_the_top() {
    for shelf in Shelf::every_way().await {
        let run = publish_book
            .on(&shelf.engine().await)
            .run("tome".into())
            .await
            .unwrap();
        assert_eq!(
            run.pause_points()[0].full_name(),
            "publish_text/review_text/review",
            "{run}"
        );
        let id = run.execution_id().clone();
        let engine = shelf.engine().await;
        let on = publish_book.on(&engine);
        let run = on
            .resume(&id)
            .at("publish_text/review_text/review")
            .with("dense")
            .await
            .unwrap();
        assert_eq!(run.output().unwrap(), "tome dense");
    }
}

#[task]
async fn grind() -> Result<u32, String> {
    begin();
    let root = task_context()
        .unwrap()
        .execution_id()
        .as_str()
        .split('.')
        .next()
        .unwrap()
        .to_owned();
    match code_of(&root.as_str().into()) {
        0 => Err("no beans".to_owned()),
        _ => Ok(1),
    }
}

#[workflow]
async fn make_espresso(_ctx: ExecutionContext) -> Result<u32, TaskError> {
    brew(7).await?;
    grind().await
}

#[workflow]
async fn serve_espresso(_ctx: ExecutionContext) -> Result<u32, TaskError> {
    brew(1).await?;
    make_espresso.call(()).await
}

#[tokio::test]
async fn a_failed_child_fails_its_call_and_is_taken_up_when_the_parent_is_resumed() {
    for shelf in Shelf::every_way().await {
        let id = unique("espresso");
        let run = serve_espresso
            .on(&shelf.engine().await)
            .run(())
            .execution_id(&id)
            .await
            .unwrap();
        let failure = run.failure().unwrap();
        assert_eq!(failure.task(), Some("make_espresso"));
        assert!(failure.message().contains("no beans"), "{failure}");
        let engine = shelf.engine().await;
        let children = children_of(&engine, &id).await;
        assert!(children[0].has_failed());
        let child = children[0].execution_id().clone();

        set_code(&id, 1);
        let run = serve_espresso
            .on(&shelf.engine().await)
            .resume(&id)
            .await
            .unwrap();
        assert_eq!(run.output(), Some(&1), "{run}");
        assert_eq!(children_of(&engine, &id).await.len(), 1);
        assert_eq!(
            (ran(&id, "brew"), ran(&child, "brew"), ran(&child, "grind")),
            (1, 1, 2)
        );
    }
}

#[workflow]
async fn race_children(_ctx: ExecutionContext) -> Result<u32, TaskError> {
    tokio::select! {
        slow = sleep_long.call(()) => slow,
        fast = make_coffee.call(1) => fast,
    }
}

#[workflow]
async fn sleep_long(_ctx: ExecutionContext) -> u32 {
    flux::sleep(flux::time::days(1)).await;
    7
}

#[tokio::test(start_paused = true)]
async fn a_dropped_child_is_cancelled() {
    for shelf in [Shelf::memory(), Shelf::memory().always_replay()] {
        let engine = shelf.engine().await;
        let run = race_children.on(&engine).run(()).await.unwrap();
        assert_eq!(run.output(), Some(&4));
        assert_eq!(
            count(&engine, run.execution_id(), EventKind::CallCancelled).await,
            1
        );
        let children = children_of(&engine, run.execution_id()).await;
        let slow = children
            .iter()
            .find(|child| child.workflow() == "sleep_long")
            .unwrap();
        let mut events = engine.subscribe(slow.execution_id()).await.unwrap();
        events
            .wait_for(EventKind::WorkflowCancelled)
            .await
            .unwrap()
            .unwrap();
        assert!(
            engine
                .get(slow.execution_id())
                .await
                .unwrap()
                .is_cancelled()
        );
    }
}

#[workflow]
async fn call_taken_id(ctx: ExecutionContext<String>) -> Result<u32, TaskErrorKind> {
    let called = make_coffee.call(1).execution_id(ctx.input()).await;
    called.map_err(|error| error.kind())
}

#[tokio::test]
async fn a_child_may_have_an_id_of_the_callers_choice_unless_it_is_taken() {
    let shelf = Shelf::memory();
    let engine = shelf.engine().await;
    let id = unique("coffee");
    let run = call_taken_id.on(&engine).run(id.to_string()).await.unwrap();
    assert_eq!(run.output(), Some(&4));
    assert_eq!(
        engine.get(&id).await.unwrap().parent(),
        Some(run.execution_id())
    );
    let run = call_taken_id.on(&engine).run(id.to_string()).await.unwrap();
    assert!(run.has_failed(), "{run}");
    assert_eq!(ran(&id, "brew"), 2);
}
