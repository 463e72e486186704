//! A store that fails: never the workflow's failure, and nothing is lost or done twice for it.

use flux::{Error, EventKind, ExecutionContext, TaskError, task, workflow};

use crate::support::{Fault, Shelf, begin, count, ran, unique};

#[task]
async fn dig(metres: u32) -> u32 {
    begin();
    metres
}

#[workflow]
async fn dig_well(ctx: ExecutionContext<u32>) -> Result<u32, TaskError> {
    let mut depth = 0;
    for _ in 0..*ctx.input() {
        depth += dig(1).await?;
    }
    Ok(depth)
}

/// PITFALL: a full disk was recorded as the failure of the workflow, or of the task whose result did not fit.
#[tokio::test]
async fn a_commit_that_fails_leaves_the_execution_resumable() {
    for commit in 1..=4 {
        let shelf = Shelf::memory();
        let id = unique("well");
        let engine = shelf.engine().await;
        shelf.fail_at(commit, Fault::NothingWritten);
        let error = dig_well
            .on(&engine)
            .run(3)
            .execution_id(&id)
            .await
            .unwrap_err();
        assert!(matches!(error, Error::Store(_)), "{error}");
        assert!(error.to_string().contains("the disk is full"), "{error}");
        if commit == 1 {
            assert!(engine.get(&id).await.is_err());
            continue;
        }
        assert!(!engine.get(&id).await.unwrap().has_finished());
        // In the same process: what the body returned was kept, and it does not run again.
        let run = dig_well.on(&engine).resume(&id).await.unwrap();
        assert_eq!(run.output(), Some(&3));
        assert_eq!(ran(&id, "dig"), 3, "commit {commit}");
        assert_eq!(count(&engine, &id, EventKind::TaskStarted).await, 3);
    }
}

/// PITFALL: a commit whose outcome nobody knew was written once more.
#[tokio::test]
async fn a_commit_of_unknown_outcome_is_read_back_and_never_repeated() {
    for fault in [Fault::UnknownAndWritten, Fault::UnknownAndLost] {
        for commit in 1..=4 {
            let shelf = Shelf::memory();
            let id = unique("well");
            let engine = shelf.engine().await;
            shelf.fail_at(commit, fault);
            let run = dig_well.on(&engine).run(3).execution_id(&id).await;
            let run = match run {
                Ok(run) => run,
                Err(error) => {
                    assert!(matches!(error, Error::Store(_)), "{error}");
                    dig_well.on(&engine).run(3).execution_id(&id).await.unwrap()
                }
            };
            assert_eq!(run.output(), Some(&3), "{fault:?} at {commit}");
            assert_eq!(ran(&id, "dig"), 3, "{fault:?} at {commit}");
            let seqs: Vec<u32> = run
                .events()
                .await
                .unwrap()
                .iter()
                .map(|event| event.seq.get())
                .collect();
            assert_eq!(seqs, (1..=8).collect::<Vec<_>>());
        }
    }
}

/// AT-17, the stale owner: its commit is refused, and it stops.
#[tokio::test]
async fn an_owner_that_was_replaced_writes_nothing_more() {
    for commit in 2..=4 {
        let shelf = Shelf::memory();
        let id = unique("well");
        let engine = shelf.engine().await;
        shelf.fail_at(commit, Fault::TakenOver);
        let run = dig_well.on(&engine).run(3).execution_id(&id);
        let error = run.await.unwrap_err();
        assert!(matches!(error, Error::TakenOver { .. }), "{error}");
        assert_eq!(shelf.commits(), commit, "it wrote on");
        assert_eq!(ran(&id, "dig"), commit - 1);
        assert_eq!(
            count(&engine, &id, EventKind::TaskCompleted).await,
            commit - 2
        );
        drop(engine);
        shelf.nobody_is_left().await;
        let run = dig_well
            .on(&shelf.engine().await)
            .resume(&id)
            .await
            .unwrap();
        assert_eq!(run.output(), Some(&3));
    }
}
