//! Sleeping until a schedule fires next, at a time of the test's choice.

use std::time::{Duration, SystemTime};

use flux::clock::{Clock, Timestamp};
use flux::{Engine, Error, EventKind, ExecutionContext, ExecutionId, FailureKind, workflow};
use futures::FutureExt;
use futures::future::BoxFuture;

use crate::support::{Shelf, code_of, count, payloads, set_code, unique};

/// A clock that has stopped.
#[derive(Debug, Clone, Copy)]
struct Stopped(Timestamp);

impl Clock for Stopped {
    fn now(&self) -> Timestamp {
        self.0
    }

    fn sleep_until(&self, moment: Timestamp) -> BoxFuture<'static, ()> {
        if moment <= self.0 {
            futures::future::ready(()).boxed()
        } else {
            futures::future::pending().boxed()
        }
    }
}

const DAY: Duration = flux::time::days(1);

/// So long after 2024-01-02T00:00Z.
fn january_2nd(after_midnight: Duration) -> Timestamp {
    Timestamp::from_micros(1_704_153_600_000_000).after(after_midnight)
}

async fn engine_at(shelf: &Shelf, now: Timestamp) -> Engine {
    shelf.builder().clock(Stopped(now)).build().await.unwrap()
}

const REFORMATTED: u32 = 1;
const RESCHEDULED: u32 = 2;
const MISTAKEN: u32 = 3;

fn schedule(id: &ExecutionId) -> &'static str {
    match code_of(id) {
        REFORMATTED => " 0 3 *  * * utc",
        RESCHEDULED => "0 4 * * *",
        MISTAKEN => "0 33 * * *",
        _ => "0 3 * * *",
    }
}

#[workflow]
async fn load_at_three(ctx: ExecutionContext) -> SystemTime {
    let schedule = schedule(ctx.execution_id()).to_owned();
    flux::sleep_until_cron(&schedule).await;
    flux::now()
}

/// Waits until it sleeps.
async fn due(engine: &Engine, id: &ExecutionId) -> SystemTime {
    loop {
        let run = engine.get(id).await.ok();
        match run.and_then(|run| run.wakes_at()) {
            Some(due) => return due,
            None => tokio::task::yield_now().await,
        }
    }
}

/// Starts it, and lets its process die while it sleeps.
async fn fall_asleep(shelf: &Shelf, id: &ExecutionId, now: Timestamp) -> SystemTime {
    let engine = engine_at(shelf, now).await;
    let run = load_at_three.on(&engine).run(()).execution_id(id);
    let due = tokio::select! {
        run = run => panic!("{run:?}"),
        due = due(&engine, id) => due,
    };
    drop(engine);
    shelf.nobody_is_left().await;
    due
}

#[tokio::test]
async fn it_waits_for_the_next_moment_and_is_at_once_done_when_that_has_passed() {
    for shelf in Shelf::every_way().await {
        let id = unique("three");
        let ten_past_ten = january_2nd(Duration::ZERO).before(flux::time::mins(110));
        let due = fall_asleep(&shelf, &id, ten_past_ten).await;
        assert_eq!(due, january_2nd(flux::time::hours(3)).into());

        let five_past = january_2nd(flux::time::mins(185));
        let engine = engine_at(&shelf, five_past).await;
        let run = load_at_three.on(&engine).resume(&id).await.unwrap();
        assert_eq!(run.output(), Some(&five_past.into()));
        assert_eq!(count(&engine, &id, EventKind::TimerStarted).await, 1);
        let recorded = payloads(&run.events().await.unwrap(), EventKind::TimerStarted);
        assert_eq!(recorded, [r#"{"cron":"0 3 * * *"}"#]);
    }
}

#[tokio::test]
async fn what_ends_at_the_very_moment_waits_for_the_next_day() {
    for shelf in Shelf::every_way().await {
        let three = january_2nd(flux::time::hours(3));
        let due = fall_asleep(&shelf, &unique("sharp"), three).await;
        assert_eq!(due, three.after(DAY).into());
        let just_before = three.before(Duration::from_micros(1));
        let due = fall_asleep(&shelf, &unique("early"), just_before).await;
        assert_eq!(due, three.into());
    }
}

#[tokio::test]
async fn another_schedule_is_a_divergence_and_another_spelling_is_none() {
    for shelf in Shelf::every_way().await {
        let id = unique("spelling");
        fall_asleep(&shelf, &id, january_2nd(Duration::ZERO)).await;
        let engine = engine_at(&shelf, january_2nd(DAY)).await;
        set_code(&id, RESCHEDULED);
        let error = load_at_three.on(&engine).resume(&id).await.unwrap_err();
        assert!(matches!(error, Error::NonDeterminism(_)), "{error}");
        assert!(error.to_string().contains("0 4 * * *"), "{error}");
        set_code(&id, REFORMATTED);
        let run = load_at_three.on(&engine).resume(&id).await.unwrap();
        assert!(run.has_succeeded(), "{run}");
    }
}

#[tokio::test]
async fn what_is_no_schedule_fails_the_workflow_until_it_is_corrected() {
    for shelf in Shelf::every_way().await {
        let id = unique("mistaken");
        set_code(&id, MISTAKEN);
        let engine = engine_at(&shelf, january_2nd(Duration::ZERO)).await;
        let run = load_at_three.on(&engine).run(()).execution_id(&id);
        let run = run.await.unwrap();
        let failure = run.failure().unwrap();
        assert_eq!(failure.kind(), FailureKind::Panicked);
        let why = "`0 33 * * *` is not a schedule: in the hour field, `33` is not within 0-23";
        assert!(failure.message().contains(why), "{failure}");
        drop((run, engine));
        shelf.nobody_is_left().await;

        set_code(&id, 0);
        let engine = engine_at(&shelf, january_2nd(DAY)).await;
        // Tried again now, so that it counts from now.
        let due = tokio::select! {
            run = load_at_three.on(&engine).resume(&id) => panic!("{run:?}"),
            due = due(&engine, &id) => due,
        };
        assert_eq!(due, january_2nd(DAY + flux::time::hours(3)).into());
    }
}

#[tokio::test(start_paused = true)]
async fn outside_a_workflow_it_sleeps_as_well() {
    let began = tokio::time::Instant::now();
    flux::sleep_until_cron("@every 1h").await;
    assert!(began.elapsed() <= flux::time::hours(1) + flux::time::secs(1));
}
