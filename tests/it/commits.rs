//! What is written when: the start before any body, a result before what follows from it, one commit for each.

use flux::{EventKind, ExecutionContext, TaskError, task, workflow};
use futures::future::try_join_all;

use crate::support::{Shelf, When, begin, kinds, ran, settle, unique};

#[task]
async fn add_one(n: u32) -> u32 {
    begin();
    n + 1
}

#[workflow]
async fn count_up(ctx: ExecutionContext<u32>) -> Result<u32, TaskError> {
    let mut n = 0;
    while n < *ctx.input() {
        let _ = (flux::uuid(), flux::random::<u64>(), flux::now());
        flux::publish("progress", &n);
        n = add_one(n).await?;
    }
    Ok(n)
}

#[tokio::test]
async fn n_tasks_in_a_row_cost_n_plus_one_commits() {
    for shelf in Shelf::each().await {
        let engine = shelf.engine().await;
        for n in [0, 1, 2, 10, 50] {
            let before = shelf.commits();
            let run = count_up.on(&engine).run(n).await.unwrap();
            assert_eq!(run.output(), Some(&n));
            assert_eq!(shelf.commits() - before, n as usize + 1, "{n} tasks");
        }
    }
}

#[workflow]
async fn count_at_once(ctx: ExecutionContext<u32>) -> Result<u32, TaskError> {
    let all = try_join_all((0..*ctx.input()).map(add_one)).await?;
    Ok(all.into_iter().sum())
}

#[tokio::test]
async fn arrivals_that_come_together_share_a_commit() {
    let shelf = Shelf::memory();
    let engine = shelf.engine().await;
    let run = count_at_once.on(&engine).run(20).await.unwrap();
    assert_eq!(run.output(), Some(&210));
    assert!(shelf.commits() <= 21, "{}", shelf.commits());
}

#[tokio::test]
async fn a_start_is_durable_before_any_body_runs() {
    for shelf in Shelf::each().await {
        let id = unique("durable");
        let engine = shelf.engine().await;
        shelf.stop_at(1, When::BeforeCommit);
        assert!(
            shelf
                .crash(count_up.on(&engine).run(3).execution_id(&id))
                .await
                .is_none()
        );
        settle().await;
        assert_eq!(ran(&id, "add_one"), 0);
        drop(engine);
        shelf.nobody_is_left().await;
        shelf.go_on();
        // Nothing happened.
        let engine = shelf.engine().await;
        assert!(engine.get(&id).await.is_err());

        shelf.stop_at(1, When::AfterCommit);
        assert!(
            shelf
                .crash(count_up.on(&engine).run(3).execution_id(&id))
                .await
                .is_none()
        );
        settle().await;
        assert_eq!(ran(&id, "add_one"), 0);
        let kinds = kinds(&engine, &id).await;
        assert_eq!(
            (kinds[0], *kinds.last().unwrap()),
            (EventKind::WorkflowStarted, EventKind::TaskStarted)
        );
        drop(engine);
        shelf.nobody_is_left().await;
        shelf.go_on();
        let engine = shelf.engine().await;
        let run = count_up.on(&engine).resume(&id).await.unwrap();
        assert_eq!(run.output(), Some(&3));
        assert_eq!(ran(&id, "add_one"), 3);
    }
}

#[tokio::test]
async fn a_result_is_durable_before_what_follows_from_it_runs() {
    for shelf in Shelf::each().await {
        let id = unique("durable");
        let engine = shelf.engine().await;
        shelf.stop_at(2, When::BeforeCommit);
        assert!(
            shelf
                .crash(count_up.on(&engine).run(3).execution_id(&id))
                .await
                .is_none()
        );
        settle().await;
        assert_eq!(ran(&id, "add_one"), 1);
        drop(engine);
        shelf.nobody_is_left().await;
        shelf.go_on();
        let engine = shelf.engine().await;
        let run = count_up.on(&engine).resume(&id).await.unwrap();
        assert_eq!(run.output(), Some(&3));
        // The one whose result was lost ran twice, and is numbered so.
        assert_eq!(ran(&id, "add_one"), 4);
        assert_eq!(run.tasks().await.unwrap()[0].attempts(), 2);
    }
}

#[tokio::test]
async fn a_completed_execution_is_resumed_without_a_write() {
    for shelf in Shelf::every_way().await {
        let run = count_up.on(&shelf.engine().await).run(2).await.unwrap();
        let (id, events) = (run.execution_id().clone(), run.events().await.unwrap());
        let commits = shelf.commits();
        let run = count_up
            .on(&shelf.engine().await)
            .resume(&id)
            .await
            .unwrap();
        assert_eq!(run.output(), Some(&2));
        assert_eq!(run.events().await.unwrap(), events);
        assert_eq!(shelf.commits(), commits);
        assert_eq!(ran(&id, "add_one"), 2);
    }
}

/// PITFALL: putting an execution away dropped its calls, and so cancelled them.
#[tokio::test]
async fn dropping_the_future_of_a_run_is_a_crash_and_no_more() {
    for shelf in Shelf::each().await {
        let id = unique("dropped");
        let engine = shelf.engine().await;
        shelf.stop_at(3, When::BeforeCommit);
        assert!(
            shelf
                .crash(count_up.on(&engine).run(3).execution_id(&id))
                .await
                .is_none()
        );
        shelf.go_on();
        // In the same engine, at once.
        let run = count_up.on(&engine).resume(&id).await.unwrap();
        assert_eq!(run.output(), Some(&3));
        assert_eq!(ran(&id, "add_one"), 4);
        assert!(
            !kinds(&engine, &id)
                .await
                .contains(&EventKind::CallCancelled)
        );
    }
}
