//! Jobs for many engines on one file; the floor is one engine. As many as one process of each of many services.

use std::path::Path;
use std::time::Duration;

use flux::Engine;
use futures::future::try_join_all;
use futures::{StreamExt, TryStreamExt, stream};

use super::{Failure, Outcome};
use crate::measure::{Measured, Round, rate, timed};
use crate::workload::count_up;

const JOBS: u32 = 2_000;
const ROUNDS: usize = 5;
/// How many callers start jobs at once.
const CALLERS: usize = 64;

pub(super) async fn run(dir: &Path, count: usize) -> Outcome {
    let mut rounds = Vec::new();
    for round in 0..ROUNDS {
        let alone = jobs(&dir.join(format!("alone-{round}.db")), 1).await?;
        let all = jobs(&dir.join(format!("all-{round}.db")), count).await?;
        rounds.push(Round {
            flux: rate(JOBS, all),
            floor: rate(JOBS, alone),
        });
    }
    Ok(vec![Measured::of(&rounds)])
}

/// From the first start to the last end.
async fn jobs(db: &Path, count: usize) -> Result<Duration, Failure> {
    let mut engines = Vec::new();
    for _ in 0..count {
        engines.push(Engine::open(db).await?);
    }
    let workers: Vec<_> = engines.iter().map(|it| it.worker().spawn()).collect();
    let all = async {
        let starts = (0..JOBS as usize).map(|n| {
            let start = count_up.on(&engines[n % count]).start(3).queue("jobs");
            tokio::spawn(start)
        });
        let starts = stream::iter(starts).buffer_unordered(CALLERS);
        let handles: Vec<_> = starts.try_collect().await?;
        let ends = handles
            .into_iter()
            .map(|handle| async { handle?.wait().await });
        for run in try_join_all(ends).await? {
            run.into_result()?;
        }
        Ok::<_, Failure>(())
    };
    let (done, took) = timed(all).await;
    for worker in workers {
        worker.stop().await;
    }
    done.map(|()| took)
}
