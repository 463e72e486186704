//! AT-11: cron expressions, as schedules show and fire them.

use std::time::{Duration, SystemTime};

use flux::clock::Timestamp;
use flux::time::hours;
use flux::{CatchUp, Engine, Error, ExecutionContext, Schedule, workflow};

use crate::support::{HandClock, Shelf, utc};

#[workflow]
async fn look_at_clock(ctx: ExecutionContext<u32>) -> Option<SystemTime> {
    ctx.scheduled_at()
}

async fn schedule(at: &str, cron: &str, zone: &str) -> Result<Schedule, Error> {
    let clock = HandClock::at(utc(at));
    let engine = Shelf::memory().builder().clock(clock).build().await?;
    let schedule = engine.schedule("s", look_at_clock, 1).cron(cron);
    schedule.zone(zone).await
}

fn text(moment: SystemTime) -> String {
    let text = Timestamp::from(moment).to_string();
    text.replace(":00.000000Z", "Z")
}

const NEW_YORK: &str = "America/New_York";

#[tokio::test]
async fn at_11_a_schedule_shows_when_it_fires_next() {
    const MONDAY: &str = "2024-01-01T00:00:00Z";
    for (after, cron, zone, next) in [
        (MONDAY, "0 12 * * *", "UTC", "2024-01-01T12:00Z"),
        (MONDAY, "0 0 * * 0", "UTC", "2024-01-07T00:00Z"),
        (MONDAY, "0 0 * * 7", "UTC", "2024-01-07T00:00Z"),
        (MONDAY, "0 0 * * SUN", "UTC", "2024-01-07T00:00Z"),
        (MONDAY, "0 8 * * 1-5", "UTC", "2024-01-01T08:00Z"),
        (
            "2024-01-05T08:00:00Z",
            "0 8 * * 1-5",
            "UTC",
            "2024-01-08T08:00Z",
        ),
        (MONDAY, "* * * * *", "UTC", "2024-01-01T00:01Z"),
        (MONDAY, "0 0 13 * FRI", "UTC", "2024-01-05T00:00Z"),
        (MONDAY, "0 0 1 JAN *", "UTC", "2025-01-01T00:00Z"),
        (MONDAY, "0 9 * * 1", NEW_YORK, "2024-01-01T14:00Z"),
        (
            "2024-07-01T00:00:00Z",
            "0 9 * * 1",
            NEW_YORK,
            "2024-07-01T13:00Z",
        ),
        (
            "2024-03-10T05:00:00Z",
            "30 2 * * *",
            NEW_YORK,
            "2024-03-10T07:00Z",
        ),
        (
            "2024-11-03T04:00:00Z",
            "30 1 * * *",
            NEW_YORK,
            "2024-11-03T05:30Z",
        ),
    ] {
        let schedule = schedule(after, cron, zone).await.unwrap();
        let moment = schedule.next_at().unwrap();
        assert_eq!(text(moment), next, "`{cron}` {zone} after {after}");
        assert_eq!(schedule.preview(1), [moment]);
        assert!(schedule.preview(5).is_sorted());
    }
}

#[tokio::test]
async fn at_11_an_hour_that_comes_twice_is_shown_once() {
    let schedule = schedule("2024-11-03T04:00:00Z", "30 1 * * *", NEW_YORK).await;
    let moments: Vec<_> = schedule.unwrap().preview(2).into_iter().map(text).collect();
    assert_eq!(moments, ["2024-11-03T05:30Z", "2024-11-04T06:30Z"]);
}

#[tokio::test]
async fn at_11_what_is_no_schedule_is_refused_with_its_name() {
    for cron in ["60 * * * *", "* * * *", "* * * * 8", "0 0 31 FEB *"] {
        let error = schedule("2024-01-01T00:00:00Z", cron, "UTC").await;
        let error = error.unwrap_err();
        assert!(matches!(error, Error::InvalidInput { .. }), "{error}");
        assert!(error.to_string().contains("schedule `s`"), "{error}");
    }
}

/// The moments that a schedule has started executions for.
async fn fired(engine: &Engine) -> Vec<String> {
    let mut runs = engine.list().schedule("s").await.unwrap();
    runs.reverse();
    runs.iter()
        .map(|run| text(run.scheduled_at().unwrap()))
        .collect()
}

/// Pauses the schedule that another test's workflow declares.
async fn silence_others(engine: &Engine) {
    loop {
        match engine.get_schedule("air_rooms").await {
            Ok(declared) => return declared.pause().await.unwrap(),
            Err(_) => tokio::task::yield_now().await,
        }
    }
}

/// Waits until a worker rests that would fire the schedule no sooner than `next`.
async fn rests(clock: &HandClock, next: &str) {
    clock.until_awaited(utc(next), utc(next)).await;
}

#[tokio::test]
async fn at_11_workers_fire_once_where_clocks_are_changed() {
    for (from, cron, slot, next) in [
        (
            "2024-03-10T00:00:00Z",
            "30 2 * * *",
            "2024-03-10T07:00:00Z",
            "2024-03-11T06:30:00Z",
        ),
        (
            "2024-11-03T00:00:00Z",
            "30 1 * * *",
            "2024-11-03T05:30:00Z",
            "2024-11-04T06:30:00Z",
        ),
    ] {
        for shelf in Shelf::each().await {
            let clock = HandClock::at(utc(from));
            let engine = shelf.builder().clock(clock.clone()).build().await.unwrap();
            let schedule = engine.schedule("s", look_at_clock, 1).cron(cron);
            let schedule = schedule.zone(NEW_YORK).catch_up(CatchUp::All);
            schedule.await.unwrap();
            let worker = engine.worker().spawn();
            silence_others(&engine).await;
            rests(&clock, slot).await;
            clock.set(utc(slot) - Duration::from_micros(1));
            assert!(fired(&engine).await.is_empty());
            clock.set(utc(slot));
            rests(&clock, next).await;
            // Past the second half past one.
            clock.pass(hours(2));
            assert_eq!(fired(&engine).await, [text(utc(slot))]);
            clock.set(utc(next));
            let after = utc(next) + hours(23);
            clock.until_awaited(after, after + hours(2)).await;
            assert_eq!(fired(&engine).await, [slot, next].map(|at| text(utc(at))));
            worker.stop().await;
        }
    }
}
