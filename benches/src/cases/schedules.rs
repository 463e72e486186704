//! A job beside many schedules that fire every second; the floor is the same job without them.

use std::path::Path;
use std::time::Duration;

use flux::Engine;
use futures::future::try_join_all;

use super::{Failure, Outcome};
use crate::measure::{Measured, Round, timed};
use crate::workload::count_up;

const JOBS: usize = 40;

/// Jobs come at other times than the schedules.
const EVERY: Duration = Duration::from_millis(130);

pub(super) async fn run(dir: &Path, count: usize) -> Outcome {
    let bare = Engine::open(dir.join("bare.db")).await?;
    let engine = Engine::open(dir.join("flux.db")).await?;
    try_join_all((0..count).map(|n| {
        let schedule = engine.schedule(format!("s{n}"), count_up, 1);
        schedule.every("1s").into_future()
    }))
    .await?;
    let workers = [bare.worker().spawn(), engine.worker().spawn()];
    let mut rounds = Vec::new();
    for _ in 0..JOBS {
        tokio::time::sleep(EVERY).await;
        rounds.push(Round {
            floor: job(&bare).await?,
            flux: job(&engine).await?,
        });
    }
    for worker in workers {
        worker.stop().await;
    }
    Ok(vec![Measured::of(&rounds)])
}

/// Milliseconds from a job's start to its result.
async fn job(engine: &Engine) -> Result<f64, Failure> {
    let job = async {
        let start = count_up.on(engine).start(1).queue("jobs");
        start.await?.wait().await
    };
    let (run, took) = timed(job).await;
    run?.into_result()?;
    Ok(took.as_secs_f64() * 1e3)
}
