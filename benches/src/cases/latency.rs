//! From `run` to the result of an execution with one task; the floor is its two commits.

use std::path::Path;

use flux::Engine;

use super::Outcome;
use crate::floor::BareTable;
use crate::measure::{Measured, Round, timed};
use crate::workload::count_up;

const ROUNDS: usize = 999;

pub(super) async fn start_to_result(dir: &Path) -> Outcome {
    let table = BareTable::open(&dir.join("bare.db"), "FULL")?;
    let engine = Engine::open(dir.join("flux.db")).await?;
    table.insert(2000)?;
    let _ = count_up.on(&engine).run(2000).await?;
    let mut rounds = Vec::new();
    for _ in 0..ROUNDS {
        let bare = tokio::task::block_in_place(|| table.insert(2))?;
        let (run, took) = timed(count_up.on(&engine).run(1)).await;
        run?.into_result()?;
        rounds.push(Round {
            flux: took.as_secs_f64() * 1e3,
            floor: bare.as_secs_f64() * 1e3,
        });
    }
    Ok(vec![Measured::of(&rounds)])
}
