//! Jobs for many engines on one file; the floor is one engine. As many as one process of each of many services.

use std::path::Path;
use std::time::Duration;

use flux::Engine;

use super::jobs::jobs;
use super::{Failure, Outcome};
use crate::measure::{Measured, Round, rate};

const JOBS: u32 = 2_000;
const ROUNDS: usize = 5;
/// How many callers start jobs at once.
const CALLERS: usize = 64;

pub(super) async fn run(dir: &Path, count: usize) -> Outcome {
    let mut rounds = Vec::new();
    for round in 0..ROUNDS {
        let alone = jobs_on(&dir.join(format!("alone-{round}.db")), 1).await?;
        let all = jobs_on(&dir.join(format!("all-{round}.db")), count).await?;
        rounds.push(Round {
            flux: rate(JOBS, all),
            floor: rate(JOBS, alone),
        });
    }
    Ok(vec![Measured::of(&rounds)])
}

/// Measures all jobs on `count` engines with a worker each.
async fn jobs_on(db: &Path, count: usize) -> Result<Duration, Failure> {
    let mut engines = Vec::new();
    for _ in 0..count {
        engines.push(Engine::open(db).await?);
    }
    let workers: Vec<_> = engines.iter().map(|it| it.worker().spawn()).collect();
    let took = jobs(&engines, JOBS, 3, CALLERS).await;
    for worker in workers {
        worker.stop().await;
    }
    took
}
