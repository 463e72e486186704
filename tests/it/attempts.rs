//! Attempts: panics, retries, backoff, and what a crash does not reset.

use std::time::Duration;

use flux::{Backoff, EventKind, ExecutionContext, TaskError, TaskErrorKind, task, workflow};
use serde::{Deserialize, Serialize};

use crate::support::{Shelf, When, begin, count, ran, unique};

#[task(max_attempts = 3, backoff = "fixed(10ms)")]
async fn explode(times: usize) -> usize {
    let nth = begin();
    assert!(nth > times, "boom {nth}");
    nth
}

#[workflow]
async fn handle_explosives(ctx: ExecutionContext<usize>) -> Result<usize, TaskError> {
    explode(*ctx.input()).await
}

#[tokio::test(start_paused = true)]
async fn a_panic_is_a_failed_attempt() {
    for shelf in [Shelf::memory(), Shelf::memory().always_replay()] {
        let engine = shelf.engine().await;
        let run = handle_explosives.on(&engine).run(2).await.unwrap();
        assert_eq!(run.output(), Some(&3));
        let run = handle_explosives.on(&engine).run(9).await.unwrap();
        let failure = run.failure().unwrap();
        assert_eq!(failure.escaped()[0].kind, TaskErrorKind::Panicked);
        assert_eq!(failure.escaped()[0].attempts, 3);
        assert!(
            failure
                .message()
                .contains("panicked after 3 attempts: boom 3"),
            "{failure}"
        );
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, thiserror::Error)]
enum Refusal {
    #[error("come back later")]
    Later,
    #[error("never: {0}")]
    Never(String),
}

impl Refusal {
    fn is_worth_another_try(&self) -> bool {
        *self == Self::Later
    }
}

#[task(max_attempts = 5, backoff = "exponential(1s, 2.0, max = 3s)", retry_if = Refusal::is_worth_another_try)]
async fn knock(answers: Vec<Refusal>) -> Result<usize, Refusal> {
    let nth = begin();
    answers.get(nth - 1).cloned().map_or(Ok(nth), Err)
}

#[workflow]
async fn visit(ctx: ExecutionContext<Vec<Refusal>>) -> Result<usize, Refusal> {
    let answers = ctx.input().clone();
    knock(answers)
        .await
        .map_err(|error| error.downcast::<Refusal>().unwrap())
}

#[tokio::test(start_paused = true)]
async fn only_what_is_worth_it_is_tried_again_and_later_each_time() {
    for shelf in [Shelf::memory(), Shelf::memory().always_replay()] {
        let engine = shelf.engine().await;
        let run = visit
            .on(&engine)
            .run(vec![Refusal::Later; 4])
            .await
            .unwrap();
        assert_eq!(run.output(), Some(&5));
        // 1 + 2 + 3 + 3 seconds, each up to a fifth longer.
        let took = run.duration();
        assert!(
            took >= Duration::from_secs(9) && took <= Duration::from_secs(11),
            "{took:?}"
        );

        let never = Refusal::Never("no soliciting".into());
        let run = visit
            .on(&engine)
            .run(vec![Refusal::Later, never.clone()])
            .await
            .unwrap();
        assert_eq!(ran(run.execution_id(), "knock"), 2);
        assert_eq!(run.failure().unwrap().downcast::<Refusal>(), Some(never));
        assert_eq!(run.failure().unwrap().task(), Some("knock"));
    }
}

/// PITFALL: a crash in a backoff began the count of the attempts anew, or took one of them.
#[tokio::test(start_paused = true)]
async fn attempts_and_backoff_survive_a_crash() {
    for (commit, when) in [(2, When::AfterCommit), (3, When::AfterCommit)] {
        let shelf = Shelf::memory();
        let id = unique("visit");
        let engine = shelf.engine().await;
        let began = tokio::time::Instant::now();
        shelf.stop_at(commit, when);
        let answers = vec![Refusal::Later; 9];
        assert!(
            shelf
                .crash(visit.on(&engine).run(answers).execution_id(&id))
                .await
                .is_none()
        );
        drop(engine);
        shelf.nobody_is_left().await;
        shelf.go_on();
        let failed = commit - 1;
        assert_eq!(ran(&id, "knock"), failed);
        let engine = shelf.engine().await;
        let due = engine
            .get(&id)
            .await
            .unwrap()
            .wakes_at()
            .expect("the next attempt is in the store");
        assert!(due > engine.history(&id).await.unwrap().last().unwrap().at.into());
        let run = visit.on(&engine).resume(&id).await.unwrap();
        assert!(run.has_failed());
        // A crash between two attempts takes none.
        assert_eq!(ran(&id, "knock"), 5);
        assert_eq!(count(&engine, &id, EventKind::TaskInterrupted).await, 0);
        assert!(
            began.elapsed() >= Duration::from_secs(9) && began.elapsed() <= Duration::from_secs(11)
        );
    }
}

#[task(max_attempts = 2, backoff = "fixed(10ms)")]
async fn stumble() -> Result<u32, String> {
    begin();
    let attempt = flux::task_context().unwrap().attempt();
    Err(format!("attempt {attempt}"))
}

#[workflow]
async fn walk(_ctx: ExecutionContext) -> Result<u32, TaskError> {
    stumble().await
}

/// PITFALL: a body that a crash cut off was counted, so that a task with one attempt had none left.
#[tokio::test(start_paused = true)]
async fn an_attempt_cut_off_by_a_crash_is_numbered_and_not_counted() {
    let shelf = Shelf::memory();
    let id = unique("walk");
    for _ in 0..3 {
        // The failure of the first attempt is never written; what is written is that it was cut off.
        let engine = shelf.engine().await;
        let is_first = engine.get(&id).await.is_err();
        shelf.stop_at(2, When::BeforeCommit);
        assert!(
            shelf
                .crash(walk.on(&engine).run(()).execution_id(&id))
                .await
                .is_none()
        );
        assert!(is_first || count(&engine, &id, EventKind::TaskInterrupted).await > 0);
        drop(engine);
        shelf.nobody_is_left().await;
        shelf.go_on();
    }
    let engine = shelf.engine().await;
    let run = walk.on(&engine).resume(&id).await.unwrap();
    let failure = run.failure().unwrap();
    assert_eq!(failure.escaped()[0].attempts, 2);
    assert_eq!(count(&engine, &id, EventKind::TaskInterrupted).await, 3);
    assert_eq!(ran(&id, "stumble"), 5);
    assert!(failure.message().contains("attempt 5"), "{failure}");
}

#[task]
async fn kill_process() {
    begin();
    std::future::pending::<()>().await;
}

#[task(at_most_once)]
async fn launch_rocket() {
    begin();
    std::future::pending::<()>().await;
}

#[workflow]
async fn do_harm(ctx: ExecutionContext<bool>) -> Result<(), TaskError> {
    if *ctx.input() {
        launch_rocket().await
    } else {
        kill_process().await
    }
}

/// Lets the process die inside the body.
async fn die_inside(shelf: &Shelf, id: &flux::ExecutionId, once: bool, limit: u32) {
    let task = if once {
        "launch_rocket"
    } else {
        "kill_process"
    };
    let before = ran(id, task);
    let engine = shelf.builder().max_recoveries(limit).build().await.unwrap();
    let run = do_harm.on(&engine).run(once).execution_id(id);
    let began = async {
        while ran(id, task) == before {
            tokio::task::yield_now().await;
        }
    };
    tokio::select! {
        run = run => panic!("{run:?}"),
        () = began => {}
    }
    drop(engine);
    shelf.nobody_is_left().await;
}

#[tokio::test]
async fn a_body_that_takes_its_process_with_it_is_given_up_in_the_end() {
    for shelf in Shelf::each().await {
        let id = unique("harm");
        for _ in 0..4 {
            die_inside(&shelf, &id, false, 3).await;
        }
        let engine = shelf.builder().max_recoveries(3).build().await.unwrap();
        let run = do_harm.on(&engine).resume(&id).await.unwrap();
        let failure = run.failure().unwrap();
        assert_eq!(
            failure.escaped()[0].kind,
            TaskErrorKind::OutcomeUnknown,
            "{run}"
        );
        assert_eq!(ran(&id, "kill_process"), 4);
    }
}

#[tokio::test]
async fn a_task_that_may_run_once_is_not_run_again_after_a_crash() {
    for shelf in Shelf::each().await {
        let id = unique("rocket");
        die_inside(&shelf, &id, true, 10).await;
        let engine = shelf.engine().await;
        let run = do_harm.on(&engine).resume(&id).await.unwrap();
        let failure = run.failure().unwrap();
        assert_eq!(
            failure.escaped()[0].kind,
            TaskErrorKind::OutcomeUnknown,
            "{run}"
        );
        assert!(failure.message().contains("unknown outcome"), "{failure}");
        assert_eq!(ran(&id, "launch_rocket"), 1);
    }
}

#[task]
async fn count_calls() -> Result<usize, String> {
    Err(format!("try {}", begin()))
}

#[workflow]
async fn override_policy(_ctx: ExecutionContext) -> String {
    let call = count_calls()
        .max_attempts(4)
        .backoff(Backoff::Fixed(Duration::from_millis(1)));
    call.named("counted").await.unwrap_err().to_string()
}

#[tokio::test(start_paused = true)]
async fn one_call_may_have_a_policy_and_a_name_of_its_own() {
    let engine = Shelf::memory().engine().await;
    let run = override_policy.on(&engine).run(()).await.unwrap();
    assert_eq!(
        run.output().unwrap(),
        "task `counted` failed after 4 attempts: try 4"
    );
}

#[tokio::test(start_paused = true)]
async fn the_builder_sets_what_tasks_do_not_say() {
    let shelf = Shelf::memory();
    let builder = shelf
        .builder()
        .default_task_attempts(3)
        .default_backoff(Backoff::Fixed(Duration::from_millis(1)));
    let engine = builder.build().await.unwrap();
    let run = crate::attempts::count_defaults
        .on(&engine)
        .run(())
        .await
        .unwrap();
    assert_eq!(
        run.output().unwrap(),
        "task `count_calls` failed after 3 attempts: try 3"
    );
}

#[workflow]
async fn count_defaults(_ctx: ExecutionContext) -> String {
    count_calls().await.unwrap_err().to_string()
}
