//! The seeded store: executions in every state there is, made by the library itself under a clock that stands still.

use std::path::Path;
use std::sync::atomic::Ordering;
use std::time::{Duration, SystemTime};

use flux::clock::Clock;
use flux::sqlite::rusqlite::Connection;
use flux::time::{hours, mins};
use flux::{Engine, EngineBuilder, Error, Execution, ExecutionId, Status};
use serde_json::{Value, json};

use super::utc;
use super::workflows::{BEGIN, CLOCK, IS_THERE};

/// The moment at which the store is looked at.
pub(crate) const NOW: &str = "2024-03-04T12:00:00Z";

/// What the seeded ids begin with: those of one minute share it.
pub(crate) const PREFIX: &str = "018e0966-a100-7000-8000-";

/// A seeded id; its short form is this word, filled up to twelve characters.
pub(crate) fn id(word: &str) -> ExecutionId {
    ExecutionId::from(format!("{PREFIX}{word:0>12}"))
}

/// How often it is looked whether something has happened.
const PACE: Duration = Duration::from_millis(2);

/// Writes the store to this file.
pub(super) async fn write(file: &Path) {
    let engine = builder(file).build().await.unwrap();
    worked(&engine).await;
    waiting_their_turn(&engine).await;
    drop(engine);
    crashed(file).await;
}

/// Takes out what comes of the machine's own clock: a worker that takes up what is queued counts the time this takes it.
pub(super) fn smooth(file: &Path) {
    let store = Connection::open(file).unwrap();
    store.execute_batch(SMOOTH).unwrap();
}

const SMOOTH: &str = "
    CREATE TEMP TABLE queued AS
        SELECT eid, created_at AS at FROM flux_executions
        WHERE eid IN (SELECT key >> 24 FROM flux_events WHERE kind = 18);
    UPDATE flux_events SET at = queued.at FROM queued
        WHERE key >> 24 = eid AND flux_events.at BETWEEN queued.at AND queued.at + 1000000;
    UPDATE flux_executions SET started_at = at FROM queued
        WHERE flux_executions.eid = queued.eid AND started_at IS NOT NULL;
    UPDATE flux_executions SET finished_at = at FROM queued
        WHERE flux_executions.eid = queued.eid AND finished_at < at + 1000000;
";

fn builder(file: &Path) -> EngineBuilder {
    Engine::builder()
        .sqlite(file)
        .clock(CLOCK.clone())
        .idle_after(Duration::ZERO)
}

/// Moves the clock to so many minutes after the beginning.
fn at(minute: u64) {
    CLOCK.set(utc(BEGIN) + mins(minute));
}

/// Everything that a worker took up.
async fn worked(engine: &Engine) {
    let worker = engine.worker().spawn();
    finished(engine).await;
    paused(engine).await;
    asleep(engine).await;
    ended(engine).await;
    with_children(engine).await;
    scheduled(engine).await;
    worker.stop().await;
}

async fn start(
    engine: &Engine,
    minute: u64,
    workflow: &str,
    word: &str,
    input: Value,
) -> ExecutionId {
    at(minute);
    // The waits before attempts vary by chance.
    fastrand::seed(minute);
    let id = id(word);
    let start = engine.start_by_name(workflow, input);
    start.execution_id(&id).await.unwrap();
    id
}

/// Waits until the execution has finished or paused, or sleeps, and nobody drives it.
async fn rest(engine: &Engine, id: &ExecutionId) -> Execution {
    loop {
        let execution = engine.get(id).await.unwrap();
        let is_begun = execution.status() != Status::Pending;
        if execution.has_finished() || (is_begun && execution.worker().is_none()) {
            return execution;
        }
        tokio::time::sleep(PACE).await;
    }
}

async fn put(engine: &Engine, minute: u64, workflow: &str, word: &str, input: Value) -> Execution {
    let id = start(engine, minute, workflow, word, input).await;
    rest(engine, &id).await
}

async fn finished(engine: &Engine) {
    let order = json!({"item": "tea", "cents": 450});
    let _ = put(engine, 0, "place_order", "shipped", order).await;
    let order = json!({"item": "air", "cents": 0});
    let _ = put(engine, 5, "place_order", "uncharged", order).await;
    let _ = put(engine, 10, "check_stock", "outofstock", json!("tea")).await;
    let _ = put(engine, 15, "tidy_shelf", "panicked", json!(12)).await;
    let _ = put(engine, 20, "count_pages", "manypages", json!(499)).await;
    let _ = put(
        engine,
        25,
        "greet_person",
        "greeted",
        json!({"name": "Ada"}),
    )
    .await;
    let failed = put(engine, 30, "import_file", "retried", json!("rates.csv")).await;
    IS_THERE.store(true, Ordering::Relaxed);
    at(32);
    // Its driver may not have let go of it yet.
    while let Err(error) = engine.retry(failed.execution_id()).request().await {
        assert!(matches!(error, Error::AlreadyRunning { .. }), "{error}");
        tokio::time::sleep(PACE).await;
    }
    while !engine
        .get(failed.execution_id())
        .await
        .unwrap()
        .has_succeeded()
    {
        tokio::time::sleep(PACE).await;
    }
}

async fn paused(engine: &Engine) {
    let order = json!({"item": "lamp", "cents": 9900});
    let _ = put(engine, 35, "review_order", "inreview", order).await;
    let _ = put(engine, 40, "sign_contract", "unsigned", Value::Null).await;
}

async fn asleep(engine: &Engine) {
    let order = json!({"item": "desk", "cents": 20_000});
    let id = put(engine, 45, "review_order", "unpaid", order).await;
    at(47);
    let answer = engine
        .resume(id.execution_id())
        .with(&json!({"approved": true}));
    answer.request().await.unwrap();
    while engine
        .get(id.execution_id())
        .await
        .unwrap()
        .awaited_signals()
        .is_empty()
    {
        tokio::time::sleep(PACE).await;
    }
    let _ = rest(engine, id.execution_id()).await;
    let _ = put(engine, 50, "remind", "sleeping", json!("water the plants")).await;
    let _ = put(engine, 55, "fetch_rates", "retrying", json!("the bank")).await;
    let held = put(engine, 60, "remind", "onhold", json!("call home")).await;
    at(61);
    engine.pause(held.execution_id()).await.unwrap();
    let _ = rest(engine, held.execution_id()).await;
}

async fn ended(engine: &Engine) {
    let trip = put(engine, 65, "book_trip", "cancelled", Value::Null).await;
    at(66);
    engine.cancel(trip.execution_id()).await.unwrap();
    finish(engine, trip.execution_id()).await;
    let other = put(engine, 70, "remind", "terminated", json!("buy milk")).await;
    at(71);
    let reason = "the milk is bought";
    engine
        .terminate(other.execution_id(), reason)
        .await
        .unwrap();
}

async fn finish(engine: &Engine, id: &ExecutionId) {
    while !engine.get(id).await.unwrap().has_finished() {
        tokio::time::sleep(PACE).await;
    }
}

async fn with_children(engine: &Engine) {
    let parent = start(engine, 75, "send_all", "withchildren", json!(2)).await;
    loop {
        let children = engine.list().children_of(&parent).await.unwrap();
        let waits = |child: &Execution| !child.awaited_signals().is_empty();
        if children.len() == 2 && children.iter().any(waits) {
            break;
        }
        tokio::time::sleep(PACE).await;
    }
    for child in engine.list().children_of(&parent).await.unwrap() {
        let _ = rest(engine, child.execution_id()).await;
    }
    let _ = rest(engine, &parent).await;
}

async fn scheduled(engine: &Engine) {
    at(80);
    let nightly = engine.schedule_by_name("nightly", "count_stock", Value::Null);
    let nightly = nightly
        .cron("0 3 * * *")
        .zone("Europe/Berlin")
        .await
        .unwrap();
    let now = SystemTime::from(CLOCK.now());
    for handle in nightly.backfill(now - hours(48), now).await.unwrap() {
        finish(engine, handle.execution_id()).await;
    }
    let polls = engine.schedule_by_name("poll", "fetch_rates", json!("the post"));
    let polls = polls.every("6h").await.unwrap();
    polls.pause().await.unwrap();
}

/// What no worker has taken up.
async fn waiting_their_turn(engine: &Engine) {
    let emails = engine.queue("emails").concurrency(10).per_worker(4);
    emails
        .rate("100/min")
        .partition_by_key("tenant")
        .await
        .unwrap();
    engine.queue("letters").pause().await.unwrap();
    at(85);
    let queued = |word| {
        engine
            .start_by_name("send_email", "ada")
            .execution_id(id(word))
            .for_worker()
    };
    queued("queued").priority(5).await.unwrap();
    at(86);
    queued("stuck").queue("letters").await.unwrap();
    at(87);
    queued("later")
        .at(utc("2024-03-04T18:00:00Z"))
        .await
        .unwrap();
}

/// What a process drove that is gone.
async fn crashed(file: &Path) {
    at(90);
    let engine = builder(file).build().await.unwrap();
    let id = start(&engine, 90, "print_label", "crashed", Value::Null).await;
    let is_begun = async || engine.history(&id).await.unwrap().len() > 1;
    while !is_begun().await {
        tokio::time::sleep(PACE).await;
    }
    tokio::task::yield_now().await;
    at(240);
}
