//! A nightly load: three sources at once, a merge, and a wait until three o'clock that survives a restart.
//!
//! ```text
//! cargo run --example nightly_etl
//! ```
//!
//! The first process prepares the data and then waits for the hour; there it is stopped, as by a deploy. The next one only
//! loads: nothing is extracted twice. So that you need not wait for the night, the clock here is set forward by hand.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use flux::clock::{Clock, Timestamp};
use flux::store::{MemoryStore, Store};
use flux::{Engine, ExecutionContext, ExecutionId, Status, TaskError, task, workflow};
use futures::future::BoxFuture;
use tokio::sync::Notify;

#[task]
async fn validate_sources() -> u32 {
    3
}

#[task(name = "extract-{source}")]
async fn extract(source: String) -> usize {
    println!("  extracting {source}");
    source.len() * 100
}

#[task]
async fn merge(rows: Vec<usize>) -> usize {
    rows.into_iter().sum()
}

#[task]
async fn clean(rows: usize) -> usize {
    rows - rows / 10
}

#[task(max_attempts = 3)]
async fn enrich(rows: usize) -> usize {
    rows
}

#[task]
async fn load(rows: usize) -> usize {
    println!("  loading {rows} rows");
    rows
}

#[task]
async fn report(rows: usize) -> String {
    format!("{rows} rows loaded")
}

#[workflow]
async fn load_nightly(_ctx: ExecutionContext) -> Result<String, TaskError> {
    validate_sources().await?;
    let source = |name: &str| extract(name.to_owned());
    let (orders, customers, events) =
        tokio::try_join!(source("orders"), source("customers"), source("events"))?;
    let rows = merge(vec![orders, customers, events]).await?;
    let rows = clean(rows).await?;
    let rows = enrich(rows).await?;
    flux::sleep_until_cron("0 3 * * *").await;
    let rows = load(rows).await?;
    report(rows).await
}

/// A clock that stands still until somebody sets it forward.
#[derive(Clone, Debug)]
struct HandClock {
    now: Arc<Mutex<Timestamp>>,
    moved: Arc<Notify>,
}

impl HandClock {
    fn at(moment: SystemTime) -> Self {
        Self {
            now: Arc::new(Mutex::new(moment.into())),
            moved: Arc::default(),
        }
    }

    fn pass(&self, span: Duration) {
        let mut now = self.now.lock().unwrap_or_else(PoisonError::into_inner);
        *now = now.after(span);
        drop(now);
        self.moved.notify_waiters();
    }
}

impl Clock for HandClock {
    fn now(&self) -> Timestamp {
        *self.now.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn sleep_until(&self, moment: Timestamp) -> BoxFuture<'static, ()> {
        let clock = self.clone();
        Box::pin(async move {
            loop {
                let moved = clock.moved.notified();
                if clock.now() >= moment {
                    return;
                }
                moved.await;
            }
        })
    }
}

/// A process that works until it is stopped; `until` says when.
async fn process(
    store: &Arc<dyn Store>,
    clock: &HandClock,
    until: impl AsyncFnOnce(&Engine),
) -> Result<(), flux::Error> {
    let builder = Engine::builder()
        .shared_store(Arc::clone(store))
        .clock(clock.clone());
    let engine = builder.idle_after(Duration::ZERO).build().await?;
    let worker = engine.worker().spawn();
    until(&engine).await;
    worker.stop().await;
    Ok(())
}

/// Waits until the execution sleeps: nobody owns it, and it is one row in the store.
async fn asleep(engine: &Engine, id: &ExecutionId) {
    while engine.get(id).await.map_or(true, |run| {
        run.worker().is_some() || run.status() == Status::Pending
    }) {
        tokio::task::yield_now().await;
    }
}

async fn one_night() -> Result<String, Box<dyn std::error::Error>> {
    let ten_at_night = UNIX_EPOCH + Duration::from_mins(28_402_450); // 2024-01-01T22:10:00Z
    let clock = HandClock::at(ten_at_night);
    let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
    let id = ExecutionId::from("night-of-2024-01-02");

    println!("22:10, the first process:");
    process(&store, &clock, async |engine| {
        let start = load_nightly.on(engine).start(()).execution_id(&id).await;
        if start.is_ok() {
            asleep(engine, &id).await;
        }
    })
    .await?;

    clock.pass(Duration::from_mins(295));
    println!("03:05, the next process:");
    let mut outcome = None;
    process(&store, &clock, async |engine| {
        outcome = Some(load_nightly.on(engine).run(()).execution_id(&id).await);
    })
    .await?;
    let run = outcome.ok_or("the second process has not run")??;
    Ok(run.into_result()?)
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("{}", one_night().await?);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_night_ends_with_a_report() {
        assert_eq!(one_night().await.unwrap(), "1890 rows loaded");
    }
}
