//! Pause points: answered one at a time, by name, with a value of the right type, and never twice.

use std::time::Duration;

use flux::{Error, EventKind, ExecutionContext, Status, TaskError, task, workflow};
use serde::{Deserialize, Serialize};

use crate::support::{Shelf, begin, count, ran, unique};

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
        for (point, says) in [
            ("verify_setup", "it waited there before"),
            ("no_such_point", "its code has not reached that pause point"),
        ] {
            let error = on.resume(&id).at(point).await.unwrap_err();
            assert!(error.to_string().contains(says), "{error}");
            let request = on.resume(&id).at(point).request();
            assert_eq!(request.await.unwrap_err().to_string(), error.to_string());
            let Error::NotPausedAt { pending, .. } = error else {
                panic!("{error}")
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

#[tokio::test]
async fn a_paused_execution_can_be_driven_by_one_alone() {
    let shelf = Shelf::memory();
    let engine = shelf.engine().await;
    let id = unique("two-resumes");
    let on = monitor_process.on(&engine);
    let _ = on.run(()).execution_id(&id).await.unwrap();
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

#[workflow]
async fn pass_two_gates(_ctx: ExecutionContext) -> u32 {
    flux::pause("first").await;
    flux::pause("second").await;
    2
}

/// Several people press the button at once: the pause point they mean is answered, and no other.
#[tokio::test(flavor = "multi_thread")]
async fn resumes_at_the_same_time_answer_the_pause_point_they_mean() {
    for shelf in Shelf::each().await {
        let engine = shelf.engine().await;
        let run = pass_two_gates.on(&engine).run(()).await.unwrap();
        let id = run.execution_id().clone();
        let resume = || pass_two_gates.on(&engine).resume(&id).at("first");
        let resumes = (0..6).map(|_| tokio::spawn(resume()));
        let mut answered = 0;
        for resumed in futures::future::join_all(resumes).await {
            match resumed.unwrap() {
                Ok(run) => {
                    assert_eq!(run.pause_point(), Some("second"), "{run}");
                    answered += 1;
                }
                Err(Error::AlreadyRunning { .. } | Error::NotPausedAt { .. }) => {}
                Err(error) => panic!("{error}"),
            }
        }
        assert_eq!(answered, 1);
        assert_eq!(count(&engine, &id, EventKind::PauseAnswered).await, 1);
    }
}

/// Keeps a driver busy after it has paused its execution, and dropped the code.
struct SlowToDrop;

impl Drop for SlowToDrop {
    fn drop(&mut self) {
        std::thread::sleep(Duration::from_millis(30));
    }
}

#[workflow]
async fn wait_slowly(_ctx: ExecutionContext) {
    let _slow = SlowToDrop;
    flux::signal::<()>("go").await
}

/// Its driver gives it up in the commit that puts it on hold, and is gone a little later.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_execution_can_be_resumed_as_soon_as_it_is_seen_to_be_on_hold() {
    let engine = Shelf::memory().engine().await;
    let handle = wait_slowly.on(&engine).start(()).await.unwrap();
    let id = handle.execution_id();
    engine.pause(id).await.unwrap();
    while engine.get(id).await.unwrap().held().is_none() {
        tokio::task::yield_now().await;
    }
    engine.signal(id, "go", &()).await.unwrap();
    let run = wait_slowly.on(&engine).resume(id).await.unwrap();
    assert!(run.has_succeeded(), "{run}");
}
