//! Wake-ups by what is not durable: they keep their place among the arrivals.

use std::time::Duration;

use flux::{EventKind, ExecutionContext, TaskError, task, workflow};

use crate::support::{Shelf, When, begin, count, kinds, unique};

#[task]
async fn note(what: String) -> String {
    begin();
    tokio::time::sleep(Duration::from_millis(10)).await;
    what
}

#[workflow]
async fn wait_foreign(_ctx: ExecutionContext) -> Result<String, TaskError> {
    note("before".into()).await?;
    tokio::time::sleep(Duration::from_millis(30)).await;
    let after = note("after".into()).await?;
    flux::pause("look").await;
    note(after).await
}

/// PITFALL: the order of a foreign wake-up among the other arrivals was recorded nowhere, so that what was asked for
/// after it was found in another place by each replay.
#[tokio::test(start_paused = true)]
async fn a_foreign_wake_up_is_recorded_and_awaited_again_in_a_replay() {
    for shelf in [Shelf::memory(), Shelf::memory().always_replay()] {
        let engine = shelf.engine().await;
        let run = wait_foreign.on(&engine).run(()).await.unwrap();
        let id = run.execution_id().clone();
        assert!(run.is_paused());
        assert_eq!(count(&engine, &id, EventKind::Woken).await, 1);
        drop((run, engine));
        shelf.nobody_is_left().await;
        let engine = shelf.engine().await;
        let run = wait_foreign.on(&engine).resume(&id).await.unwrap();
        assert_eq!(
            run.output().unwrap(),
            "after",
            "{:?}",
            kinds(&engine, &id).await
        );
    }
}

#[workflow]
async fn race_foreign(ctx: ExecutionContext<u64>) -> Result<String, TaskError> {
    let foreign = async {
        tokio::time::sleep(Duration::from_millis(*ctx.input())).await;
        note("foreign".into()).await
    };
    let (one, two) = tokio::join!(foreign, async {
        note("first".into()).await?;
        note("second".into()).await
    });
    Ok(one? + &two?)
}

#[tokio::test(start_paused = true)]
async fn a_foreign_wake_up_among_tasks_survives_every_crash() {
    for millis in [5, 15, 25] {
        for commit in 1..=6 {
            for when in [When::BeforeCommit, When::AfterCommit] {
                let shelf = Shelf::memory();
                let id = unique("foreign");
                let engine = shelf.engine().await;
                shelf.stop_at(commit, when);
                let ended = shelf
                    .crash(race_foreign.on(&engine).run(millis).execution_id(&id))
                    .await;
                drop(engine);
                if let Some(run) = ended {
                    assert_eq!(run.unwrap().output().unwrap(), "foreignsecond");
                    continue;
                }
                shelf.nobody_is_left().await;
                shelf.go_on();
                let engine = shelf.engine().await;
                let run = race_foreign.on(&engine).run(millis).execution_id(&id).await;
                let run = run.unwrap_or_else(|error| panic!("{when:?} {commit}: {error}"));
                assert_eq!(run.output().unwrap(), "foreignsecond", "{when:?} {commit}");
            }
        }
    }
}

#[workflow]
async fn yield_often(_ctx: ExecutionContext) -> Result<String, TaskError> {
    for _ in 0..300 {
        tokio::task::yield_now().await;
    }
    let (sender, mut receiver) = tokio::sync::mpsc::channel(1);
    let sending = async {
        for n in 0..300 {
            sender.send(n).await.unwrap();
        }
        drop(sender);
    };
    let receiving = async {
        let mut count = 0;
        while receiver.recv().await.is_some() {
            count += 1;
        }
        count
    };
    let ((), count) = tokio::join!(sending, receiving);
    note(format!("{count}")).await
}

/// Beyond the number of polls after which tokio makes a task yield.
#[tokio::test(start_paused = true)]
async fn code_that_wakes_itself_is_not_foreign_however_often_it_does() {
    for shelf in [Shelf::memory(), Shelf::memory().always_replay()] {
        let engine = shelf.engine().await;
        let run = yield_often.on(&engine).run(()).await.unwrap();
        assert_eq!(run.output().unwrap(), "300");
        assert!(count(&engine, run.execution_id(), EventKind::Woken).await <= 300);
    }
}

#[task]
async fn count_slowly() -> Result<i64, String> {
    tokio::time::sleep(Duration::from_millis(60)).await;
    let counted =
        flux::sqlite::transaction("count", |db| db.query_row("SELECT 7", [], |row| row.get(0)));
    let counted = counted.await.map_err(|error| error.to_string())?;
    tokio::time::sleep(Duration::from_millis(60)).await;
    Ok(counted)
}

#[workflow]
async fn nap_slowly(_ctx: ExecutionContext) -> Result<(), TaskError> {
    flux::step("nap", async {
        tokio::time::sleep(Duration::from_millis(90)).await;
        Ok::<_, String>(())
    })
    .await
}

/// Its code is replayed again and again while the others are at work.
#[workflow]
async fn wait_foreign_beside_others(_ctx: ExecutionContext) -> Result<i64, TaskError> {
    let foreign = async {
        tokio::time::sleep(Duration::from_millis(40)).await;
        for _ in 0..3 {
            note("again".into()).await?;
        }
        Ok(())
    };
    let (counted, (), ()) = tokio::try_join!(count_slowly(), nap_slowly.call(()), foreign)?;
    Ok(counted)
}

/// PITFALL: what a body asked for or returned, and what a child said, while a replay waited for the wake-up to come
/// again, was dropped: the execution waited for ever.
#[tokio::test]
async fn what_others_say_while_a_replay_waits_for_a_wake_up_is_heard() {
    let shelf = Shelf::sqlite().await.always_replay();
    let engine = shelf.engine().await;
    let run = wait_foreign_beside_others.on(&engine).run(());
    let run = tokio::time::timeout(Duration::from_secs(20), run).await;
    assert_eq!(run.expect("it ends").unwrap().output(), Some(&7));
}
