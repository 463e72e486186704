//! Executions that sleep: what they cost, and how fast many wake at once.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use flux::{Engine, Handle};
use futures::future::try_join_all;
use futures::{StreamExt, TryStreamExt, stream};

use super::{Failure, Outcome};
use crate::floor::BareGroupWriter;
use crate::measure::{Measured, Round, rate, timed};
use crate::process::{memory, processor_time};
use crate::workload::sleep_until;

/// How many callers start executions at once.
const CALLERS: usize = 256;

/// As many as fill the page cache, which is of one size however many sleep: 64 MiB of the writer, 16 of each reader.
const BEFORE: usize = 400_000;

/// As many are in memory at once, at most: the allocator keeps what it needed for them.
const AWAKE: usize = 10_000;

/// What the rows of one sleeping execution hold, without keys, indexes and pages.
const ROWS: f64 = 300.0;

fn micros(moment: SystemTime) -> u64 {
    let since = moment
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default();
    u64::try_from(since.as_micros()).unwrap_or(u64::MAX)
}

async fn start(
    engine: &Engine,
    count: usize,
    until: SystemTime,
) -> Result<Vec<Handle<u64>>, Failure> {
    let starts =
        stream::iter(0..count).map(|_| tokio::spawn(sleep_until.on(engine).start(micros(until))));
    let handles: Vec<_> = starts.buffer_unordered(CALLERS).try_collect().await?;
    Ok(handles.into_iter().collect::<Result<_, _>>()?)
}

/// From the moment that many wait for to the last one's end.
pub(super) async fn wake(dir: &Path, count: u32) -> Outcome {
    let writer = Arc::new(BareGroupWriter::open(&dir.join("bare.db"))?);
    let engine = Engine::builder()
        .sqlite(dir.join("flux.db"))
        .idle_after(Duration::from_millis(100))
        .build()
        .await?;
    let worker = engine.worker().concurrency(1024).spawn();
    let mut rounds = Vec::new();
    for _ in 0..5 {
        let bare = bare(&writer, count).await?;
        let due = SystemTime::now() + Duration::from_secs(3);
        let handles = start(&engine, count as usize, due).await?;
        let ends = try_join_all(handles.iter().map(Handle::wait)).await?;
        let late = SystemTime::now().duration_since(due)?;
        assert_eq!(ends.len(), count as usize);
        rounds.push(Round {
            flux: late.as_secs_f64() * 1e3,
            floor: bare.as_secs_f64() * 1e3,
        });
    }
    worker.stop().await;
    Ok(vec![Measured::of(&rounds)])
}

/// A commit for each, all of them waiting together.
async fn bare(writer: &Arc<BareGroupWriter>, count: u32) -> Result<Duration, Failure> {
    let all = try_join_all((0..count).map(|_| writer.append()));
    let (done, took) = timed(all).await;
    done?;
    Ok(took)
}

pub(super) async fn run(dir: &Path, count: usize) -> Outcome {
    let db = dir.join("flux.db");
    let writer = Arc::new(BareGroupWriter::open(&dir.join("bare.db"))?);
    let engine = Engine::builder()
        .sqlite(&db)
        .idle_after(Duration::from_millis(100))
        .build()
        .await?;
    let worker = engine.worker().spawn();
    start(&engine, 1000, SystemTime::now() + Duration::from_secs(1)).await?;
    tokio::time::sleep(Duration::from_secs(3)).await;
    let idle_without = idle().await;
    let until = SystemTime::now() + Duration::from_hours(24 * 30);
    put_to_sleep(&engine, BEFORE, until).await?;
    let (memory_without, file_without) = (memory(), size(&db));
    let number = u32::try_from(count)?;

    let bare = bare(&writer, number).await?;
    let took = put_to_sleep(&engine, count, until).await?;
    let per_one = |total: f64| total / f64::from(number);
    let memory_of_each = per_one((memory() - memory_without).max(0.0));
    let file_of_each = per_one(size(&db) - file_without);
    let idle_with = idle().await;
    worker.stop().await;
    let figures = [
        (rate(number, took), rate(number, bare)),
        (memory_of_each, 0.0),
        (file_of_each, ROWS),
        (idle_with, idle_without),
    ];
    Ok(figures
        .map(|(flux, floor)| Measured::from(Round { flux, floor }))
        .into())
}

/// Starts executions, some at a time, and waits until they sleep; how long the starts took.
async fn put_to_sleep(
    engine: &Engine,
    count: usize,
    until: SystemTime,
) -> Result<Duration, Failure> {
    let mut took = Duration::ZERO;
    for begun in (0..count).step_by(AWAKE) {
        let some = AWAKE.min(count - begun);
        let (handles, spent) = timed(start(engine, some, until)).await;
        drop(handles?);
        took += spent;
        asleep(engine).await?;
    }
    Ok(took)
}

/// Waits until nobody owns anything.
async fn asleep(engine: &Engine) -> Result<(), Failure> {
    for _ in 0..600 {
        tokio::time::sleep(Duration::from_millis(100)).await;
        let owned: u64 = engine
            .workers()
            .await?
            .iter()
            .map(|worker| worker.owns)
            .sum();
        if owned == 0 {
            return Ok(());
        }
    }
    Err("the sleepers do not fall asleep".into())
}

/// How much of a processor is used while nothing happens, in per cent.
async fn idle() -> f64 {
    let (began, used) = (Instant::now(), processor_time());
    tokio::time::sleep(Duration::from_secs(5)).await;
    (processor_time() - used) / began.elapsed().as_secs_f64() * 100.0
}

fn size(db: &Path) -> f64 {
    let bytes = std::fs::metadata(db).map_or(0, |found| found.len());
    // The log is copied into the file sooner or later; what matters is the file.
    f64::from(u32::try_from(bytes / 1024).unwrap_or(u32::MAX)) * 1024.0
}
