//! How fast the store is, beside the floor of the same run. Ignored by default:
//! `cargo test --release -p flux-store --test rates -- --ignored --nocapture --test-threads 1`

#![expect(clippy::unwrap_used, reason = "a test")]

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use flux_core::id::{Epoch, EventSeq};
use flux_core::store::Store;
use flux_core::store::contract::given::{append, create};
use flux_store::{Durability, SqliteOptions};
use rusqlite::Connection;

/// Short, and many of them: what disturbs a round disturbs its floor as well.
const ROUND: Duration = Duration::from_millis(80);
const ROUNDS: usize = 41;
/// For what has no floor beside it.
const LONG: Duration = Duration::from_millis(1500);

fn open(folder: &Path, durability: Durability) -> Arc<dyn Store> {
    Arc::new(
        SqliteOptions::new(folder.join("flux.db"))
            .durability(durability)
            .open_blocking()
            .unwrap(),
    )
}

fn rate(done: u64, began: Instant) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "a rate")]
    let done = done as f64;
    done / began.elapsed().as_secs_f64()
}

/// One row of 100 bytes per transaction, through rusqlite alone.
struct Floor {
    connection: Connection,
    next: i64,
}

impl Floor {
    fn new(folder: &Path, synchronous: &str) -> Self {
        let connection = Connection::open(folder.join("floor.db")).unwrap();
        connection
            .execute_batch(&format!(
                "PRAGMA journal_mode = WAL; PRAGMA synchronous = {synchronous}; PRAGMA wal_autocheckpoint = 4000;
                 PRAGMA cache_size = -65536;
                 CREATE TABLE t (id INTEGER PRIMARY KEY, seq INTEGER NOT NULL, kind INTEGER NOT NULL, payload TEXT) STRICT"
            ))
            .unwrap();
        Self {
            connection,
            next: 0,
        }
    }

    fn run(&mut self) -> f64 {
        let payload = "x".repeat(100);
        let began = Instant::now();
        let mut done = 0;
        while began.elapsed() < ROUND {
            self.next += 1;
            let mut insert = self
                .connection
                .prepare_cached("INSERT INTO t VALUES (?1, ?2, ?3, ?4)")
                .unwrap();
            insert
                .execute((self.next, self.next, 11, &payload))
                .unwrap();
            done += 1;
        }
        rate(done, began)
    }
}

/// Steps of one execution after another: an event that completes a task, one that starts the next.
async fn steps(store: Arc<dyn Store>, name: String) -> f64 {
    let guard = store.join().await.unwrap();
    let key = create(&store, &name, guard.id()).await;
    let began = Instant::now();
    let (mut done, mut last) = (0, 1);
    while began.elapsed() < ROUND {
        store
            .commit(append(key, Epoch(1), last + 1, last + 2))
            .await
            .unwrap();
        last += 2;
        done += 1;
    }
    rate(done, began)
}

/// The same with a body between two commits that runs as a task of its own, as an engine does.
async fn steps_with_bodies(store: Arc<dyn Store>, name: String) -> f64 {
    let guard = store.join().await.unwrap();
    let key = create(&store, &name, guard.id()).await;
    let began = Instant::now();
    let (mut done, mut last) = (0, 1);
    while began.elapsed() < ROUND {
        let output = tokio::spawn(async move { last + 1 }).await.unwrap();
        store
            .commit(append(key, Epoch(1), output, output + 1))
            .await
            .unwrap();
        last += 2;
        done += 1;
    }
    rate(done, began)
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

#[test]
#[ignore = "a measurement"]
fn one_execution_beside_a_bare_loop() {
    for (durability, synchronous) in [(Durability::Full, "FULL"), (Durability::Relaxed, "NORMAL")] {
        let folder = tempfile::tempdir_in(".").unwrap();
        let store = open(folder.path(), durability);
        let mut floor = Floor::new(folder.path(), synchronous);
        let many = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .unwrap();
        let one = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        let mut bares = Vec::new();
        let mut ratios: [Vec<f64>; 5] = Default::default();
        for round in 0..ROUNDS {
            let bare = floor.run();
            let task = many
                .block_on(many.spawn(steps(Arc::clone(&store), format!("t{round}"))))
                .unwrap();
            let main = many.block_on(steps(Arc::clone(&store), format!("m{round}")));
            let current = one.block_on(steps(Arc::clone(&store), format!("c{round}")));
            let bodies = many.spawn(steps_with_bodies(Arc::clone(&store), format!("b{round}")));
            let bodies = many.block_on(bodies).unwrap();
            bares.push(bare);
            for (ratios, value) in ratios.iter_mut().zip([bare, task, bodies, main, current]) {
                ratios.push(value / bare);
            }
        }
        let [_, task, bodies, main, current] = ratios.map(median);
        println!(
            "{synchronous}: bare {:.0}/s; ratios: task {task:.2}, with bodies {bodies:.2}, block_on {main:.2}, \
             current_thread {current:.2}",
            median(bares)
        );
    }
}

#[test]
#[ignore = "a measurement"]
fn many_executions() {
    for durability in [Durability::Full, Durability::Relaxed] {
        for width in [2, 8, 64, 512, 4096] {
            let folder = tempfile::tempdir_in(".").unwrap();
            let store = open(folder.path(), durability);
            let many = tokio::runtime::Builder::new_multi_thread()
                .worker_threads(2)
                .enable_all()
                .build()
                .unwrap();
            let total: f64 = many.block_on(async {
                let began = Instant::now();
                let tasks: Vec<_> = (0..width)
                    .map(|i| tokio::spawn(short_ones(Arc::clone(&store), i)))
                    .collect();
                let mut done = 0;
                for task in tasks {
                    done += task.await.unwrap();
                }
                rate(done, began)
            });
            println!("{durability:?}: {width} at once: {total:.0} commits/s");
        }
    }
}

/// Executions of ten steps, one after another.
async fn short_ones(store: Arc<dyn Store>, i: usize) -> u64 {
    let guard = store.join().await.unwrap();
    let began = Instant::now();
    let mut done = 0;
    let mut n = 0;
    while began.elapsed() < LONG {
        let key = create(&store, &format!("e{i}.{n}"), guard.id()).await;
        n += 1;
        for step in 1..=10 {
            store
                .commit(append(key, Epoch(1), 2 * step, 2 * step + 1))
                .await
                .unwrap();
            done += 1;
        }
    }
    done
}

#[test]
#[ignore = "a measurement"]
fn reading_a_long_history() {
    let folder = tempfile::tempdir_in(".").unwrap();
    let store = open(folder.path(), Durability::Relaxed);
    let many = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    let reading = async move {
        let guard = store.join().await.unwrap();
        let key = create(&store, "long", guard.id()).await;
        for from in (2..100_002_u32).step_by(1000) {
            let mut page = append(key, Epoch(1), from, from + 999);
            for event in &mut page.events {
                event.payload = Some(flux_core::payload::Payload::from_json(format!(
                    "\"{}\"",
                    "x".repeat(98)
                )));
            }
            store.commit(page).await.unwrap();
        }
        for limit in [256, 1000, 4096] {
            let mut best = 0.0_f64;
            for _ in 0..5 {
                let began = Instant::now();
                let (mut from, mut read) = (EventSeq::FIRST, 0);
                loop {
                    let page = store.events(key, from, limit).await.unwrap();
                    let Some(last) = page.last() else { break };
                    from = last.seq.next();
                    read += page.len() as u64;
                }
                best = best.max(rate(read, began));
            }
            println!("pages of {limit}: {best:.0} events/s");
        }
        let row = Instant::now();
        for _ in 0..10_000 {
            store.last_event(key).await.unwrap();
        }
        println!("last_event: {:?} each", row.elapsed() / 10_000);
    };
    many.block_on(many.spawn(reading)).unwrap();
}
