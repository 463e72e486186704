//! Pause points: answered one at a time, by name, with a value of the right type, and never twice.

use std::time::Duration;

use flux::{Error, EventKind, ExecutionContext, Status, TaskError, task, workflow};
use serde::{Deserialize, Serialize};
use tokio::sync::Notify;

use crate::support::{Shelf, begin, count, ran, started, unique};

#[task]
async fn tidy(what: String) -> String {
    begin();
    what
}

#[workflow]
async fn monitor_process(_ctx: ExecutionContext) -> Result<u32, TaskError> {
    tidy("setup".into()).await?;
    flux::pause("verify_setup").await;
    let mut chunks = 0;
    tidy("data".into()).await?;
    flux::pause("validate_data").await;
    for n in 1..=3 {
        tidy(format!("chunk {n}")).await?;
        chunks += 1;
        if n < 3 {
            flux::pause(format!("monitor_progress_{n}")).await;
        }
    }
    flux::pause("final_approval").await;
    Ok(chunks)
}

/// AT-22, the second half.
#[tokio::test]
async fn a_workflow_with_five_pause_points_takes_five_resumes() {
    let points = [
        "verify_setup",
        "validate_data",
        "monitor_progress_1",
        "monitor_progress_2",
        "final_approval",
    ];
    for shelf in Shelf::every_way().await {
        let mut run = monitor_process
            .on(&shelf.engine().await)
            .run(())
            .await
            .unwrap();
        let id = run.execution_id().clone();
        for point in points {
            assert!(run.is_paused() && !run.has_finished(), "{run}");
            assert_eq!(run.pause_point(), Some(point));
            assert_eq!(run.output(), None);
            run = monitor_process
                .on(&shelf.engine().await)
                .resume(&id)
                .await
                .unwrap();
        }
        assert_eq!(run.output(), Some(&3));
        assert_eq!(run.pause_point(), None);
        assert_eq!(ran(&id, "tidy"), 5);
    }
}

#[workflow]
async fn sum_and_multiply(ctx: ExecutionContext<Vec<i64>>) -> i64 {
    let sum: i64 = ctx.input().iter().sum();
    match flux::pause("multiplier").value::<Option<i64>>().await {
        Some(multiplier) => sum + multiplier,
        None => sum + 1,
    }
}

/// AT-23.
#[tokio::test]
async fn a_pause_point_takes_a_value() {
    for shelf in Shelf::every_way().await {
        for (given, expected) in [(Some(5), 11), (None, 7)] {
            let run = sum_and_multiply
                .on(&shelf.engine().await)
                .run(vec![1, 2, 3])
                .await
                .unwrap();
            assert!(run.pause_points()[0].wants().unwrap().contains("i64"));
            let engine = shelf.engine().await;
            let run = sum_and_multiply
                .on(&engine)
                .resume(run.execution_id())
                .with(&given)
                .await
                .unwrap();
            assert_eq!(run.output(), Some(&expected));
        }
    }
}

/// AT-23, the refusal.
#[tokio::test]
async fn a_value_of_a_wrong_type_is_refused_before_anything_is_written() {
    for shelf in Shelf::every_way().await {
        let engine = shelf.engine().await;
        let run = sum_and_multiply
            .on(&engine)
            .run(vec![1, 2, 3])
            .await
            .unwrap();
        let id = run.execution_id().clone();
        let before = engine.history(&id).await.unwrap();
        let commits = shelf.commits();
        let wrong = sum_and_multiply
            .on(&engine)
            .resume(&id)
            .with("many")
            .await
            .unwrap_err();
        assert!(matches!(wrong, Error::InvalidInput { .. }), "{wrong}");
        assert!(
            wrong.to_string().contains("multiplier") && wrong.to_string().contains("i64"),
            "{wrong}"
        );
        let none = sum_and_multiply.on(&engine).resume(&id).await.unwrap_err();
        assert!(matches!(none, Error::ResumeValueRequired { .. }), "{none}");
        assert!(none.to_string().contains(".with(&value)"), "{none}");

        assert_eq!(engine.history(&id).await.unwrap(), before);
        assert_eq!(shelf.commits(), commits);
        assert_eq!(engine.get(&id).await.unwrap().status(), Status::Paused);
        let run = sum_and_multiply
            .on(&engine)
            .resume(&id)
            .with(&4)
            .await
            .unwrap();
        assert_eq!(run.output(), Some(&10));
    }
}

#[derive(Debug, Serialize, Deserialize)]
struct Decision {
    approved: bool,
    by: String,
}

#[workflow]
async fn decide_bare_and_typed(_ctx: ExecutionContext) -> String {
    flux::pause("bare").await;
    let decision = flux::pause("typed").value::<Decision>().await;
    format!("{} {}", decision.by, decision.approved)
}

#[tokio::test]
async fn a_wrong_value_names_its_json_path_and_a_bare_pause_point_takes_none() {
    let shelf = Shelf::memory();
    let engine = shelf.engine().await;
    let on = decide_bare_and_typed.on(&engine);
    let id = on.run(()).await.unwrap().execution_id().clone();
    let error = on.resume(&id).with(&7).await.unwrap_err();
    assert!(error.to_string().contains("takes no value"), "{error}");
    assert!(on.resume(&id).await.unwrap().is_paused());

    let wrong = serde_json::json!({"approved": "yes", "by": "Ada"});
    let Error::InvalidInput { path, .. } = on.resume(&id).with(&wrong).await.unwrap_err() else {
        panic!("it was taken")
    };
    assert_eq!(path, "approved");
    let right = Decision {
        approved: true,
        by: "Ada".into(),
    };
    assert_eq!(
        on.resume(&id).with(&right).await.unwrap().output().unwrap(),
        "Ada true"
    );
}

#[workflow]
async fn pause_twice_at_once(_ctx: ExecutionContext) -> Result<u32, TaskError> {
    let legal = async {
        flux::pause("legal").await;
        tidy("legal".into()).await
    };
    let (legal, amount) = tokio::join!(legal, flux::pause("amount").value::<u32>());
    legal?;
    flux::pause("final").await;
    Ok(amount)
}

#[tokio::test]
async fn several_pause_points_need_a_name() {
    for shelf in Shelf::every_way().await {
        let engine = shelf.engine().await;
        let on = pause_twice_at_once.on(&engine);
        let run = on.run(()).await.unwrap();
        let id = run.execution_id().clone();
        assert_eq!(run.pause_points().len(), 2);
        let before = engine.history(&id).await.unwrap();
        let Error::AmbiguousPause { mut names, .. } = on.resume(&id).await.unwrap_err() else {
            panic!("it was resumed")
        };
        names.sort();
        assert_eq!(names, ["amount", "legal"]);
        assert_eq!(engine.history(&id).await.unwrap(), before);

        let run = on.resume(&id).at("legal").await.unwrap();
        assert_eq!(
            run.pause_points()
                .iter()
                .map(flux::PausePoint::name)
                .collect::<Vec<_>>(),
            ["amount"]
        );
        let run = on.resume(&id).with(&3).await.unwrap();
        assert_eq!(run.pause_point(), Some("final"));
        assert_eq!(on.resume(&id).await.unwrap().output(), Some(&3));
        assert_eq!(ran(&id, "tidy"), 1);
    }
}

/// PITFALL: a client that got no reply resumed again, and so approved the next pause point, which nobody had seen.
#[tokio::test]
async fn a_repeated_resume_never_answers_the_next_pause_point() {
    for shelf in Shelf::every_way().await {
        let engine = shelf.engine().await;
        let on = monitor_process.on(&engine);
        let id = on.run(()).await.unwrap().execution_id().clone();
        assert_eq!(
            on.resume(&id)
                .at("verify_setup")
                .await
                .unwrap()
                .pause_point(),
            Some("validate_data")
        );
        let before = engine.history(&id).await.unwrap();
        for point in ["verify_setup", "no_such_point"] {
            let Error::NotPausedAt { pending, .. } = on.resume(&id).at(point).await.unwrap_err()
            else {
                panic!("it was resumed")
            };
            assert_eq!(pending, ["validate_data"]);
        }
        assert_eq!(engine.history(&id).await.unwrap(), before);
    }
}

/// PITFALL: a supervisor that resumed all that was unfinished approved everything.
#[tokio::test]
async fn recovery_answers_no_pause_point() {
    for shelf in Shelf::every_way().await {
        let run = monitor_process
            .on(&shelf.engine().await)
            .run(())
            .await
            .unwrap();
        let id = run.execution_id().clone();
        drop(run);
        shelf.nobody_is_left().await;
        let engine = shelf.engine().await;
        let before = engine.history(&id).await.unwrap();
        let recovered = engine.recover().await.unwrap();
        assert!(
            recovered.executions.is_empty() && recovered.failures.is_empty(),
            "{recovered:?}"
        );
        let run = monitor_process
            .on(&engine)
            .run(())
            .execution_id(&id)
            .await
            .unwrap();
        assert_eq!(run.pause_point(), Some("verify_setup"));
        assert_eq!(engine.history(&id).await.unwrap(), before);
    }
}

static HAMMER: Notify = Notify::const_new();

#[task]
async fn hammer() -> String {
    begin();
    HAMMER.notified().await;
    "done".to_owned()
}

#[workflow]
async fn pause_beside_work(_ctx: ExecutionContext) -> Result<String, TaskError> {
    let ((), done) = tokio::join!(flux::pause("review"), hammer());
    done
}

/// PITFALL: a run that paused beside a running body returned at once, and what the body did was lost.
#[tokio::test]
async fn what_runs_beside_a_pause_point_is_finished_and_recorded_first() {
    let shelf = Shelf::memory();
    let engine = shelf.engine().await;
    let handle = pause_beside_work.on(&engine).start(()).await.unwrap();
    let mut events = engine.subscribe(handle.execution_id()).await.unwrap();
    events
        .wait_for(EventKind::PauseReached)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(handle.status().await.unwrap(), Status::Running);
    HAMMER.notify_one();
    let run = handle.wait().await.unwrap();
    assert!(run.is_paused());
    assert_eq!(
        count(&engine, run.execution_id(), EventKind::TaskCompleted).await,
        1
    );
    let run = pause_beside_work
        .on(&engine)
        .resume(run.execution_id())
        .await
        .unwrap();
    assert_eq!(run.output().unwrap(), "done");
    assert_eq!(started(run.execution_id()), ["hammer"]);
}

#[workflow]
async fn pause_for_two_days(_ctx: ExecutionContext) -> Result<String, TaskError> {
    let review = flux::pause("review").value::<String>();
    let verdict = match flux::timeout(flux::time::days(2), review).await {
        Ok(verdict) => verdict,
        Err(elapsed) => elapsed.to_string(),
    };
    tidy(verdict).await
}

#[tokio::test(start_paused = true)]
async fn a_timer_beside_a_pause_point_stays_armed_and_moves_it_on() {
    for shelf in [Shelf::memory(), Shelf::memory().always_replay()] {
        let engine = shelf.engine().await;
        let on = pause_for_two_days.on(&engine);
        let run = on.run(()).await.unwrap();
        assert!(run.is_paused());
        assert!(run.wakes_at().is_some());
        // In time.
        tokio::time::sleep(Duration::from_secs(60 * 60)).await;
        let run = on.resume(run.execution_id()).with("fine").await.unwrap();
        assert_eq!(run.output().unwrap(), "fine");
        // Too late: the timer, overdue by now, is delivered first, and the answer has nothing to answer.
        let run = on.run(()).await.unwrap();
        tokio::time::sleep(flux::time::days(3)).await;
        let late = on.resume(run.execution_id()).with("fine").await;
        assert!(
            matches!(
                late,
                Err(Error::NotPaused { .. } | Error::NotPausedAt { .. })
            ),
            "{late:?}"
        );
        let run = on.resume(run.execution_id()).await.unwrap();
        assert_eq!(run.output().unwrap(), "the time limit has passed");
    }
}

#[tokio::test]
async fn a_paused_execution_can_be_driven_by_one_alone() {
    let shelf = Shelf::memory();
    let engine = shelf.engine().await;
    let id = unique("two-resumes");
    let on = monitor_process.on(&engine);
    on.run(()).execution_id(&id).await.unwrap();
    let (one, two) = tokio::join!(
        on.resume(&id).at("verify_setup"),
        on.resume(&id).at("verify_setup")
    );
    let refused = [&one, &two]
        .into_iter()
        .filter(|resumed| resumed.is_err())
        .count();
    assert_eq!(refused, 1, "{one:?} {two:?}");
    assert_eq!(count(&engine, &id, EventKind::PauseAnswered).await, 1);
}
