//! One execution, many trivial tasks one after another; the floor is one bare INSERT per commit.

use std::path::Path;

use flux::{Durability, Engine};

use super::Outcome;
use crate::floor::BareTable;
use crate::measure::{Measured, Round, rate, timed};
use crate::workload::count_up;

const ROUNDS: usize = 9;

pub(super) async fn full(dir: &Path) -> Outcome {
    run(dir, Durability::Full, 1000).await
}

pub(super) async fn relaxed(dir: &Path) -> Outcome {
    run(dir, Durability::Relaxed, 5000).await
}

async fn run(dir: &Path, durability: Durability, tasks: u32) -> Outcome {
    let synchronous = if durability == Durability::Full {
        "FULL"
    } else {
        "NORMAL"
    };
    let table = BareTable::open(&dir.join("bare.db"), synchronous)?;
    let engine = Engine::builder()
        .sqlite(dir.join("flux.db"))
        .durability(durability)
        .build()
        .await?;
    // Both write-ahead logs are grown and reused before anything counts.
    table.insert(5000)?;
    let _ = count_up.on(&engine).run(5000).await?;
    let mut rounds = Vec::new();
    for _ in 0..ROUNDS {
        let bare = tokio::task::block_in_place(|| table.insert(tasks))?;
        let (run, took) = timed(count_up.on(&engine).run(tasks.into())).await;
        run?.into_result()?;
        rounds.push(Round {
            flux: rate(tasks, took),
            floor: rate(tasks, bare),
        });
    }
    Ok(vec![Measured::of(&rounds)])
}
