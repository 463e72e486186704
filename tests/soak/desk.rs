//! The desk, which starts orders. It may be killed at any time, and the next one goes on where it was.

use std::time::Duration;

use fastrand::Rng;
use flux::{Engine, ExecutionId, Start};

use crate::code::{
    Given, Order, play, play_again, play_alone, play_briefly, play_in_turn, play_over,
};
use crate::feature::Feature;
use crate::ledger::{Entries, Ledger};
use crate::script::{Author, ms};
use crate::site::Site;

/// No more than so many orders are open, so that a slow machine gets on.
const OPEN: usize = 120;

/// The queues: each has limits of its own kind.
pub mod queue {
    pub const NARROW: &str = "narrow";
    /// So many of the narrow queue at once, over all processes.
    pub const AT_ONCE: u32 = 3;
    pub const SHARED: &str = "shared";
    /// So many of the shared queue at once in one process.
    pub const PER_WORKER: u32 = 1;
    pub const RATED: &str = "rated";
    /// So many starts of the rated queue in any second.
    pub const RATE: usize = 3;
    pub const FAIR: &str = "fair";
}

/// Writes the limits down.
pub async fn furnish(engine: &Engine) -> Result<(), flux::Error> {
    engine
        .queue(queue::NARROW)
        .concurrency(queue::AT_ONCE)
        .await?;
    engine
        .queue(queue::SHARED)
        .per_worker(queue::PER_WORKER)
        .await?;
    engine
        .queue(queue::RATED)
        .rate(&format!("{}/s", queue::RATE))
        .await?;
    engine.queue(queue::FAIR).partition_by_key("tenant").await?;
    let ticks = engine
        .schedule("ticks", crate::bodies::tick, ())
        .every("2s");
    ticks.await?;
    Ok(())
}

/// The dice for one order.
pub fn dice(seed: u64, number: usize) -> Rng {
    Rng::with_seed(seed ^ (number as u64 + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15))
}

fn start(engine: &Engine, seed: u64, number: usize) -> (ExecutionId, Start<Given>) {
    let mut dice = dice(seed, number);
    let script = Author { dice: &mut dice }.write();
    let order = Order {
        tenant: format!("t{}", dice.u32(..3)),
        lock: format!("l{}", dice.u32(..4)),
        script,
        heard: Vec::new(),
    };
    let attempts = Feature::Attempts.is_on();
    let workflow = match dice.u32(..10) {
        0 if attempts => play_again,
        1 if attempts => play_over,
        2 if Feature::Limits.is_on() => play_briefly,
        3 => play_alone,
        4 => play_in_turn,
        _ => play,
    };
    let id = ExecutionId::from(format!("o{number}"));
    let mut start = workflow.on(engine).start(order).execution_id(&id);
    let queues = [queue::NARROW, queue::SHARED, queue::RATED, queue::FAIR];
    if dice.bool() {
        start = start
            .queue(dice.choice(queues).unwrap())
            .priority(dice.i32(-2..=2));
    }
    if dice.u32(..6) == 0 {
        start = start.delay(ms(dice.u64(..1000)));
    }
    if dice.u32(..8) == 0 {
        start = start.dedup(format!("d{}", dice.u32(..2)));
    }
    (id, start)
}

/// Starts orders until it is killed.
pub async fn open(engine: &Engine, site: &Site, seed: u64) {
    let ledger = Ledger::open(&site.ledger());
    let mut number = Entries::read(&site.ledger()).started.len();
    let mut dice = Rng::new();
    loop {
        if Feature::Leave.is_on() && dice.u32(..4) == 0 {
            // The caller leaves; whether it was started is not known.
            let patience = Duration::from_micros(dice.u64(..3000));
            let _ = tokio::time::timeout(patience, start(engine, seed, number).1).await;
        }
        let (id, start) = start(engine, seed, number);
        match start.await {
            Ok(handle) => {
                // With a dedup key it may be an earlier order, which has not finished.
                ledger.write(&format!("started {}", handle.execution_id()));
                number += 1;
            }
            Err(error) => eprintln!("{id}: {error}"),
        }
        tokio::time::sleep(ms(dice.u64(5..40))).await;
        while is_busy(engine).await {
            tokio::time::sleep(ms(50)).await;
        }
    }
}

async fn is_busy(engine: &Engine) -> bool {
    use flux::Status::{Paused, Pending, Running};
    let open = engine.list().status(Pending).status(Running).status(Paused);
    open.limit(OPEN + 1)
        .await
        .is_ok_and(|open| open.len() > OPEN)
}
