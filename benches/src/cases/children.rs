//! One parent with many children, and children of children: what each costs; the floor is the same with few.

use std::path::Path;

use flux::{Durability, Engine};

use super::{Failure, Outcome};
use crate::measure::{Measured, Round, timed};
use crate::workload::{dig, spread};

const ROUNDS: usize = 5;

pub(super) async fn run(dir: &Path) -> Outcome {
    let engine = Engine::builder()
        .sqlite(dir.join("flux.db"))
        .durability(Durability::Relaxed)
        .build()
        .await?;
    let (mut wide, mut deep) = (Vec::new(), Vec::new());
    spread_over(&engine, 500).await?;
    for _ in 0..ROUNDS {
        wide.push(Round {
            flux: spread_over(&engine, 8000).await?,
            floor: spread_over(&engine, 500).await?,
        });
        deep.push(Round {
            flux: dig_to(&engine, 2000).await?,
            floor: dig_to(&engine, 125).await?,
        });
    }
    Ok(vec![Measured::of(&wide), Measured::of(&deep)])
}

/// Microseconds for each of so many children of one parent.
async fn spread_over(engine: &Engine, children: u32) -> Result<f64, Failure> {
    let (run, took) = timed(spread.on(engine).run(children)).await;
    run?.into_result()?;
    Ok(took.as_secs_f64() * 1e6 / f64::from(children))
}

/// Microseconds for each level of children.
async fn dig_to(engine: &Engine, depth: u32) -> Result<f64, Failure> {
    let (run, took) = timed(dig.on(engine).run(depth)).await;
    run?.into_result()?;
    Ok(took.as_secs_f64() * 1e6 / f64::from(depth))
}
