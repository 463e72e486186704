//! AT-17: one execution of a workflow at a time, or one of a key. Two processes that resume one id are in `processes`; a
//! holder that was stopped and comes back is in `fairness`.

use std::time::Duration;

use flux::{Engine, Error, ExecutionContext, ExecutionId, Status, TaskError, task, workflow};
use futures::future::join_all;
use serde::{Deserialize, Serialize};

use crate::support::{Shelf, asleep, begin, dies_in, most_at_once, ran, spend_in, unique};

#[task]
async fn open_books() -> usize {
    begin()
}

/// Waits for a signal or, if it is told so, for a person.
#[workflow(concurrency = 1)]
async fn keep_books(ctx: ExecutionContext<bool>) -> Result<String, TaskError> {
    open_books().await?;
    match ctx.input() {
        true => flux::pause("review").await,
        false => flux::signal("closed").await,
    }
    Ok("closed".to_owned())
}

/// Which execution is in the way of another.
async fn in_the_way(engine: &Engine) -> ExecutionId {
    match keep_books.on(engine).run(false).await {
        Err(Error::LimitReached { holder, .. }) => holder,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn at_17_a_second_start_is_refused_with_the_id_of_the_first() {
    for shelf in Shelf::every_way().await {
        let engine = shelf.engine().await;
        let first = keep_books.on(&engine).start(false).await.unwrap();
        assert_eq!(&in_the_way(&engine).await, first.execution_id());
        // So does every engine on the store, and a start.
        let other = shelf.engine().await;
        assert_eq!(&in_the_way(&other).await, first.execution_id());
        let start = keep_books.on(&other).start(false).await;
        assert!(matches!(start, Err(Error::LimitReached { .. })));
        assert_eq!(engine.list().await.unwrap().len(), 1, "nothing is left");

        first.terminate("to make room").await.unwrap();
        let second = keep_books.on(&engine).start(false).await.unwrap();
        assert_eq!(&in_the_way(&engine).await, second.execution_id());
        second.signal("closed", &()).await.unwrap();
        assert!(second.wait().await.unwrap().has_succeeded());
        let third = keep_books.on(&engine).run(true).await.unwrap();
        assert!(third.is_paused());
    }
}

#[tokio::test]
async fn at_17_a_paused_a_sleeping_and_an_orphaned_one_are_in_the_way_too() {
    for shelf in Shelf::every_way().await {
        let builder = shelf.builder().idle_after(Duration::ZERO);
        let engine = builder.build().await.unwrap();
        let run = keep_books.on(&engine).run(true).await.unwrap();
        assert!(run.is_paused());
        assert_eq!(&in_the_way(&engine).await, run.execution_id());
        let _ = keep_books
            .on(&engine)
            .resume(run.execution_id())
            .await
            .unwrap();

        let worker = engine.worker().spawn();
        let sleeper = keep_books.on(&engine).start(false).await.unwrap();
        let _ = asleep(&engine, sleeper.execution_id()).await;
        assert_eq!(&in_the_way(&engine).await, sleeper.execution_id());
        sleeper.terminate("enough").await.unwrap();
        worker.stop().await;

        let id = unique("orphan");
        let orphan = keep_books.on(&engine).run(false).execution_id(&id);
        dies_in(orphan, &id, "open_books").await;
        drop((run, sleeper, engine));
        shelf.nobody_is_left().await;
        let engine = shelf.engine().await;
        assert_eq!(in_the_way(&engine).await, id);
        engine.terminate(&id, "its process died").await.unwrap();
        assert!(keep_books.on(&engine).run(true).await.unwrap().is_paused());
    }
}

#[tokio::test]
async fn at_17_of_many_starts_at_once_one_runs() {
    for shelf in Shelf::every_way().await {
        let engines = [shelf.engine().await, shelf.engine().await];
        let starts = (0..10).map(|i| keep_books.on(&engines[i % 2]).start(false));
        let (started, refused): (Vec<_>, Vec<_>) =
            join_all(starts).await.into_iter().partition(Result::is_ok);
        assert_eq!((started.len(), refused.len()), (1, 9));
        let winner = started[0].as_ref().unwrap().execution_id();
        for refused in refused {
            match refused {
                Err(Error::LimitReached { holder, .. }) => assert_eq!(&holder, winner),
                other => panic!("{other:?}"),
            }
        }
        assert_eq!(ran(winner, "open_books"), 1);
    }
}

#[derive(Clone, Serialize, Deserialize)]
struct Visit {
    /// Where it is counted how many are there at once.
    meter: String,
    user: u32,
}

fn visit(meter: &ExecutionId, user: u32) -> Visit {
    let meter = meter.to_string();
    Visit { meter, user }
}

#[task]
async fn be_there(meter: String) -> usize {
    let times = begin();
    spend_in(&meter, Duration::from_millis(5)).await;
    times
}

#[workflow(concurrency = 1, on_conflict = "queue")]
async fn visit_in_turn(ctx: ExecutionContext<Visit>) -> Result<usize, TaskError> {
    be_there(ctx.input().meter.clone()).await
}

#[tokio::test]
async fn at_17_beyond_the_limit_a_start_waits_for_its_turn() {
    for shelf in Shelf::every_way().await {
        for with_worker in [false, true] {
            let engine = shelf.engine().await;
            let worker = with_worker.then(|| engine.worker().spawn());
            let meter = unique("turns");
            let on = visit_in_turn.on(&engine);
            let mut handles = Vec::new();
            for _ in 0..5 {
                handles.push(on.start(visit(&meter, 1)).await.unwrap());
            }
            let last = on.run(visit(&meter, 1)).await.unwrap();
            assert_eq!(last.output(), Some(&1));
            let mut ends = Vec::new();
            for handle in handles {
                let run = handle.wait().await.unwrap();
                assert_eq!(run.output(), Some(&1));
                ends.push((run.started_at(), run.finished_at()));
            }
            if with_worker {
                assert!(ends.is_sorted(), "the oldest goes first: {ends:?}");
            }
            assert_eq!(most_at_once(meter.as_str()), 1);
            if let Some(worker) = worker {
                worker.stop().await;
            }
        }
    }
}

#[workflow(concurrency = 1, on_conflict = "skip")]
async fn refresh(ctx: ExecutionContext<u32>) -> u32 {
    flux::signal::<()>("done").await;
    *ctx.input()
}

#[tokio::test]
async fn at_17_beyond_the_limit_a_start_gives_the_one_that_runs() {
    for shelf in Shelf::every_way().await {
        let engine = shelf.engine().await;
        let first = refresh.on(&engine).start(1).await.unwrap();
        let other = refresh.on(&engine).start(2).await.unwrap();
        assert_eq!(other.execution_id(), first.execution_id());
        first.signal("done", &()).await.unwrap();
        assert_eq!(other.wait().await.unwrap().output(), Some(&1));
        assert_eq!(engine.list().await.unwrap().len(), 1);
    }
}

#[workflow(concurrency = 1, on_conflict = "terminate")]
async fn follow_newest(ctx: ExecutionContext<u32>) -> u32 {
    flux::signal::<()>("done").await;
    *ctx.input()
}

#[tokio::test]
async fn at_17_beyond_the_limit_a_start_ends_the_one_that_runs() {
    for shelf in Shelf::every_way().await {
        let engine = shelf.engine().await;
        let old = follow_newest.on(&engine).start(1).await.unwrap();
        let new = follow_newest.on(&engine).start(2).await.unwrap();
        let old = old.wait().await.unwrap();
        assert_eq!(old.status(), Status::Terminated);
        let reason = old.termination_reason().unwrap();
        assert!(reason.contains(new.execution_id().as_str()), "{reason}");
        new.signal("done", &()).await.unwrap();
        assert_eq!(new.wait().await.unwrap().output(), Some(&2));
    }
}

/// Stays until another is there, too, however slow the machine is; some seconds at most.
#[task]
async fn meet(meter: String) -> usize {
    let times = begin();
    for _ in 0..500 {
        spend_in(&meter, Duration::from_millis(5)).await;
        if most_at_once(&meter) > 1 {
            break;
        }
    }
    times
}

#[workflow(lock = "user:{user}")]
async fn visit_by_user(ctx: ExecutionContext<Visit>) -> Result<usize, TaskError> {
    be_there(format!("{}-{}", ctx.input().meter, ctx.input().user)).await?;
    meet(ctx.input().meter.clone()).await
}

#[tokio::test]
async fn at_17_executions_of_one_key_take_turns_and_others_do_not_wait() {
    for shelf in Shelf::every_way().await {
        let engine = shelf.engine().await;
        let worker = engine.worker().spawn();
        let meter = unique("users");
        let users = [1, 1, 1, 2, 2, 2];
        let starts = users.map(|user| visit_by_user.on(&engine).run(visit(&meter, user)));
        for run in join_all(starts).await {
            assert!(run.unwrap().has_succeeded());
        }
        for user in [1, 2] {
            assert_eq!(most_at_once(&format!("{meter}-{user}")), 1);
        }
        assert_eq!(most_at_once(meter.as_str()), 2, "the two users overlap");
        worker.stop().await;
    }
}
