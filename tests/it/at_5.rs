//! AT-5: a nightly load that waits for three o'clock, and a process that is not there when it strikes.

use std::time::{Duration, SystemTime};

use flux::time::mins;
use flux::{Engine, EventKind, ExecutionContext, ExecutionId, TaskError, task, workflow};
use tokio::sync::Notify;

use crate::support::{
    HandClock, Shelf, asleep, begin, count, most_at_once, ran, spend, started, unique, utc,
};

#[task]
async fn validate_sources() -> u32 {
    begin();
    3
}

#[task(name = "extract-{source}")]
async fn extract(source: String) -> usize {
    begin();
    spend(Duration::from_millis(5)).await;
    source.len()
}

#[task(name = "merge")]
async fn merge_rows(rows: Vec<usize>) -> usize {
    begin();
    rows.into_iter().sum()
}

#[task(name = "clean")]
async fn clean_rows(rows: usize) -> usize {
    begin();
    rows - 1
}

static ENRICHED: Notify = Notify::const_new();

/// What is to take its time does so until a test ends it.
#[task(name = "enrich")]
async fn enrich_rows(rows: usize, takes_its_time: bool) -> usize {
    begin();
    if takes_its_time {
        ENRICHED.notified().await;
    }
    rows * 2
}

#[task(name = "load")]
async fn load_rows(rows: usize) -> usize {
    begin();
    rows
}

#[task(name = "report")]
async fn report_rows(rows: usize) -> String {
    begin();
    format!("{rows} rows")
}

#[workflow]
async fn load_nightly(ctx: ExecutionContext<bool>) -> Result<String, TaskError> {
    validate_sources().await?;
    let source = |name: &str| extract(name.to_owned());
    let (orders, customers, events) =
        tokio::try_join!(source("orders"), source("customers"), source("events"))?;
    let rows = merge_rows(vec![orders, customers, events]).await?;
    let rows = clean_rows(rows).await?;
    let rows = enrich_rows(rows, *ctx.input()).await?;
    flux::sleep_until_cron("0 3 * * *").await;
    let rows = load_rows(rows).await?;
    report_rows(rows).await
}

async fn engine(shelf: &Shelf, clock: &HandClock) -> Engine {
    let builder = shelf.builder().clock(clock.clone());
    builder.idle_after(Duration::ZERO).build().await.unwrap()
}

/// A worker that dies when this is aborted.
fn worker(engine: &Engine) -> tokio::task::JoinHandle<Result<(), flux::Error>> {
    tokio::spawn(engine.worker().run_until(std::future::pending()))
}

/// When a task was begun.
async fn began(engine: &Engine, id: &ExecutionId, task: &str) -> SystemTime {
    let tasks = engine.get(id).await.unwrap().tasks().await.unwrap();
    let found = tasks.iter().find(|info| info.name() == task);
    found.unwrap().started_at()
}

const EXTRACTS: [&str; 3] = ["extract-customers", "extract-events", "extract-orders"];

#[tokio::test]
async fn at_5_a_restart_during_the_sleep_loads_at_once_and_extracts_nothing_again() {
    for shelf in Shelf::every_way().await {
        let clock = HandClock::at(utc("2024-01-01T22:10:00Z"));
        let id = unique("etl");
        let first = engine(&shelf, &clock).await;
        let process = worker(&first);
        let start = load_nightly.on(&first).start(false).execution_id(&id);
        start.await.unwrap();
        let run = asleep(&first, &id).await;
        assert_eq!(run.wakes_at(), Some(utc("2024-01-02T03:00:00Z")));
        let mut steps = started(&id);
        steps[1..4].sort();
        assert_eq!(steps[0], "validate_sources");
        assert_eq!(steps[1..4], EXTRACTS);
        assert_eq!(steps[4..], ["merge", "clean", "enrich"]);
        assert_eq!(most_at_once(id.as_str()), 3);

        process.abort();
        let _ = process.await;
        drop((run, first));
        shelf.nobody_is_left().await;
        clock.set(utc("2024-01-02T03:05:00Z"));

        let second = engine(&shelf, &clock).await;
        let process = worker(&second);
        let run = load_nightly.on(&second).run(false).execution_id(&id).await;
        let run = run.unwrap();
        assert_eq!(run.output().unwrap(), "40 rows");
        assert_eq!(
            began(&second, &id, "load").await,
            utc("2024-01-02T03:05:00Z")
        );
        assert_eq!(started(&id).len(), 9, "{:?}", started(&id));
        for task in EXTRACTS {
            assert_eq!(ran(&id, task), 1);
        }
        let timers = count(&second, &id, EventKind::TimerStarted).await;
        assert_eq!(run.tasks().await.unwrap().len() + timers, 10);
        process.abort();
    }
}

#[tokio::test]
async fn at_5_while_the_process_lives_it_loads_at_three() {
    for shelf in Shelf::every_way().await {
        let clock = HandClock::at(utc("2024-01-01T22:10:00Z"));
        let engine = engine(&shelf, &clock).await;
        let worker = engine.worker().spawn();
        let handle = load_nightly.on(&engine).start(false).await.unwrap();
        let id = handle.execution_id();
        let _ = asleep(&engine, id).await;
        let three = utc("2024-01-02T03:00:00Z");
        clock.until_awaited(three, three).await;
        clock.set(three - Duration::from_secs(1));
        assert_eq!(ran(id, "load"), 0);
        clock.set(three);
        assert!(handle.wait().await.unwrap().has_succeeded());
        assert_eq!(began(&engine, id, "load").await, three);
        worker.stop().await;
    }
}

#[tokio::test]
async fn at_5_what_is_ready_at_three_sharp_waits_for_the_next_night() {
    for shelf in Shelf::every_way().await {
        let clock = HandClock::at(utc("2024-01-02T02:10:00Z"));
        let engine = engine(&shelf, &clock).await;
        let worker = engine.worker().spawn();
        let handle = load_nightly.on(&engine).start(true).await.unwrap();
        let id = handle.execution_id();
        while ran(id, "enrich") == 0 {
            tokio::task::yield_now().await;
        }
        clock.pass(mins(50));
        ENRICHED.notify_one();
        let run = asleep(&engine, id).await;
        assert_eq!(run.wakes_at(), Some(utc("2024-01-03T03:00:00Z")));
        clock.set(utc("2024-01-03T03:00:00Z"));
        assert!(handle.wait().await.unwrap().has_succeeded());
        worker.stop().await;
    }
}
