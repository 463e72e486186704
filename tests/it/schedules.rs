//! Schedules: every moment once, whoever looks; what overlaps, what was missed, what is started by hand.

use std::time::{Duration, SystemTime};

use flux::time::{hours, mins, secs};
use flux::{
    CatchUp, Engine, Error, Execution, ExecutionContext, Overlap, ReleaseKind, Status, TaskError,
    task, workflow,
};

use crate::support::{HandClock, Shelf, Step, begin, utc};

#[task]
async fn write_page(_about: String) -> usize {
    begin()
}

#[workflow]
async fn report(ctx: ExecutionContext<String>) -> Result<Option<SystemTime>, TaskError> {
    write_page(ctx.input().clone()).await?;
    Ok(ctx.scheduled_at())
}

#[workflow]
async fn slow_report(_ctx: ExecutionContext<String>) {
    flux::sleep(mins(25)).await;
}

async fn executions(engine: &Engine, schedule: &str) -> Vec<Execution> {
    let mut all = engine.list().schedule(schedule).limit(1000).await.unwrap();
    all.reverse();
    all
}

/// Lets time pass while workers work.
async fn pass(span: Duration) {
    tokio::time::sleep(span).await;
}

#[tokio::test(start_paused = true)]
async fn each_moment_starts_one_execution_however_many_workers_there_are() {
    let shelf = Shelf::memory();
    let engines = [shelf.engine().await, shelf.engine().await];
    let workers: Vec<_> = engines
        .iter()
        .map(|engine| engine.worker().spawn())
        .collect();
    let hourly = engines[0]
        .schedule("hourly", report, "sales".to_owned())
        .cron("0 * * * *");
    let first = hourly.await.unwrap().next_at().unwrap();
    pass(hours(5)).await;
    let runs = executions(&engines[0], "hourly").await;
    assert_eq!(runs.len(), 5);
    for (run, hour) in runs.iter().zip(0u32..) {
        let slot = first + hours(1) * hour;
        assert_eq!(run.scheduled_at(), Some(slot));
        assert!(
            run.execution_id().as_str().starts_with("hourly@"),
            "{run:?}"
        );
        assert!(run.has_succeeded());
        let told: Option<SystemTime> =
            serde_json::from_value(run.output().unwrap().clone()).unwrap();
        assert_eq!(told, Some(slot));
    }
    for worker in workers {
        worker.stop().await;
    }
}

#[tokio::test(start_paused = true)]
async fn what_was_missed_is_made_up_for_once_by_default() {
    for (catch_up, wanted) in [(CatchUp::One, 1), (CatchUp::All, 10), (CatchUp::None, 0)] {
        let shelf = Shelf::memory();
        let engine = shelf.engine().await;
        let hourly = engine
            .schedule("hourly", report, String::new())
            .every("1h")
            .catch_up(catch_up)
            .await
            .unwrap();
        let first = hourly.next_at().unwrap();
        // Nobody works until half an hour after the tenth moment.
        let now = first.duration_since(SystemTime::now()).unwrap_or_default();
        pass(now + hours(9) + mins(30)).await;
        let worker = engine.worker().spawn();
        pass(secs(1)).await;
        assert_eq!(
            executions(&engine, "hourly").await.len(),
            wanted,
            "{catch_up:?}"
        );
        worker.stop().await;
    }
}

#[tokio::test(start_paused = true)]
async fn overlap_is_as_the_schedule_says() {
    for overlap in [
        Overlap::Skip,
        Overlap::Allow,
        Overlap::Queue,
        Overlap::CancelRunning,
    ] {
        let shelf = Shelf::memory();
        let engine = shelf.engine().await;
        let worker = engine.worker().spawn();
        let schedule = engine
            .schedule("often", slow_report, String::new())
            .every("10m")
            .overlap(overlap);
        schedule.await.unwrap();
        pass(mins(61)).await;
        let runs = executions(&engine, "often").await;
        let count = |status| runs.iter().filter(|run| run.status() == status).count();
        match overlap {
            // At 0, 30 and 60: what falls into the 25 minutes is left out.
            Overlap::Skip => assert!((2..=3).contains(&runs.len()), "{runs:?}"),
            Overlap::Allow => {
                assert!(runs.len() >= 6);
                assert!(count(Status::Running) >= 2);
            }
            Overlap::Queue => {
                assert!(runs.len() >= 6);
                assert_eq!(count(Status::Running), 1);
                assert!(count(Status::Pending) >= 2);
            }
            Overlap::CancelRunning => {
                assert!(runs.len() >= 6);
                assert_eq!(count(Status::Running), 1);
                assert_eq!(count(Status::Completed), 0);
                assert!(count(Status::Cancelled) >= 5);
            }
        }
        worker.stop().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_paused_schedule_does_not_fire_and_makes_up_for_nothing() {
    let shelf = Shelf::memory();
    let engine = shelf.engine().await;
    let worker = engine.worker().spawn();
    let hourly = engine
        .schedule("hourly", report, String::new())
        .every("1h")
        .await
        .unwrap();
    hourly.pause().await.unwrap();
    pass(hours(3)).await;
    assert!(engine.get_schedule("hourly").await.unwrap().is_paused());
    assert!(executions(&engine, "hourly").await.is_empty());
    hourly.resume().await.unwrap();
    pass(hours(2)).await;
    assert_eq!(executions(&engine, "hourly").await.len(), 2);
    hourly.delete().await.unwrap();
    pass(hours(2)).await;
    assert_eq!(executions(&engine, "hourly").await.len(), 2);
    assert!(matches!(
        engine.get_schedule("hourly").await,
        Err(Error::ScheduleNotFound { .. })
    ));
    worker.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_schedule_written_again_stands_where_it_stood() {
    let shelf = Shelf::memory();
    let engine = shelf.engine().await;
    let make = || engine.schedule("hourly", report, String::new()).every("1h");
    let first = make().await.unwrap().next_at();
    pass(hours(3)).await;
    assert_eq!(make().await.unwrap().next_at(), first);
    let other = engine
        .schedule("hourly", report, String::new())
        .every("2h")
        .await
        .unwrap();
    assert!(other.next_at() > first);
    assert_eq!(engine.schedules().await.unwrap().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn moments_are_started_by_hand() {
    let shelf = Shelf::memory();
    let engine = shelf.engine().await;
    let worker = engine.worker().spawn();
    let daily = engine
        .schedule("daily", report, String::new())
        .cron("@daily")
        .await
        .unwrap();

    let now = daily.trigger().await.unwrap().wait().await.unwrap();
    assert!(now.has_succeeded() && now.scheduled_at().is_some());

    let slot = daily.preview(1)[0];
    let once = daily.release(slot).await.unwrap();
    let again = daily.release(slot).await.unwrap();
    assert_eq!(once.execution_id(), again.execution_id());
    assert_eq!(once.wait().await.unwrap().scheduled_at(), Some(slot));
    let forced = daily.release(slot).kind(ReleaseKind::Force).await.unwrap();
    assert_ne!(forced.execution_id(), once.execution_id());

    let off = slot + secs(1);
    match daily.release(off).await {
        Err(Error::OffSchedule { next, .. }) => {
            assert_eq!(next.map(SystemTime::from), Some(slot + hours(24)))
        }
        other => panic!("{other:?}"),
    }
    assert!(daily.release(off).kind(ReleaseKind::Force).await.is_ok());

    let past = slot - hours(24) * 5;
    let filled = daily.backfill(past, slot - secs(1)).await.unwrap();
    assert_eq!(filled.len(), 5);
    for run in &filled {
        assert!(run.wait().await.unwrap().has_succeeded());
    }
    assert!(
        daily
            .backfill(past, slot - secs(1))
            .await
            .unwrap()
            .is_empty()
    );
    worker.stop().await;
}

/// PITFALL: each fired in a commit of its own before anything was claimed, so that a thousand that fire every second left
/// no time for what was ready.
#[tokio::test(start_paused = true)]
async fn a_thousand_schedules_that_are_due_at_once_keep_nothing_ready_from_running() {
    // An hourly schedule fires at the full hour, which the minute below must not reach once more.
    let clock = HandClock::at(utc("2024-01-01T08:10:00Z"));
    let shelf = Shelf::memory();
    let engine = shelf.builder().clock(clock.clone()).build().await.unwrap();
    for n in 0..1000 {
        let schedule = engine.schedule(format!("s{n:03}"), report, String::new());
        schedule.every("1h").await.unwrap();
    }
    clock.pass(hours(1));
    let ready = report.on(&engine).start(String::new()).for_worker();
    let ready = ready.await.unwrap();
    let worker = engine.worker().concurrency(2000).spawn();
    pass(mins(1)).await;
    let (mut fired, mut could_run) = (Vec::new(), true);
    for step in shelf.take_steps() {
        match step {
            Step::Fired(count) => {
                assert!(could_run, "two commits of firings in a row: {fired:?}");
                fired.push(count);
                could_run = false;
            }
            Step::Claimed(ids) => {
                let is_first = fired.len() == 1 && !could_run;
                assert!(!is_first || ids.contains(ready.execution_id()), "{ids:?}");
                could_run = true;
            }
        }
    }
    assert_eq!(fired, [256, 256, 256, 232]);
    let last = executions(&engine, "s999").await;
    assert!(last[0].has_succeeded(), "{last:?}");
    worker.stop().await;
}

#[workflow(schedule = "30 4 * * *")]
async fn air_rooms(ctx: ExecutionContext) -> Option<SystemTime> {
    ctx.scheduled_at()
}

#[tokio::test(start_paused = true)]
async fn a_declared_schedule_is_there_as_soon_as_a_worker_is() {
    let shelf = Shelf::memory();
    let engine = shelf.engine().await;
    let worker = engine.worker().spawn();
    pass(hours(25)).await;
    let declared = engine.get_schedule("air_rooms").await.unwrap();
    assert_eq!(declared.when(), "30 4 * * *");
    assert!(!executions(&engine, "air_rooms").await.is_empty());
    worker.stop().await;
}

#[tokio::test]
async fn what_is_no_schedule_is_refused_and_nothing_is_written() {
    let engine = Shelf::memory().engine().await;
    let make = || engine.schedule("odd", report, String::new());
    for odd in [
        make().cron("60 * * * *"),
        make().cron("0 0 31 FEB *"),
        make().every("0s"),
        make(),
        make().cron("@daily").zone("Mars"),
    ] {
        let error = odd.await.unwrap_err();
        assert!(matches!(error, Error::InvalidInput { .. }), "{error}");
    }
    assert!(
        engine
            .schedules()
            .await
            .unwrap()
            .iter()
            .all(|schedule| schedule.id() != "odd")
    );
}
