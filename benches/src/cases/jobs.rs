//! Executions of one task through a queue; the floor is the three commits of each.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use flux::Engine;
use futures::future::try_join_all;
use futures::{StreamExt, TryStreamExt, stream};

use super::{Failure, Outcome};
use crate::floor::{BareGroupWriter, BareTable};
use crate::measure::{Measured, Round, rate, timed};
use crate::process::Other;
use crate::workload::count_up;

const JOBS: u32 = 10_000;
const ROUNDS: usize = 5;
/// How many callers enqueue at once.
const CALLERS: usize = 256;

pub(super) async fn throughput(dir: &Path) -> Outcome {
    let writer = Arc::new(BareGroupWriter::open(&dir.join("bare.db"))?);
    let engine = Engine::open(dir.join("flux.db")).await?;
    let worker = engine.worker().spawn();
    let engines = [engine];
    jobs(&engines, JOBS / 10, 1, CALLERS).await?;
    let mut rounds = Vec::new();
    for _ in 0..ROUNDS {
        let bare = bare(&writer).await?;
        let flux = jobs(&engines, JOBS, 1, CALLERS).await?;
        rounds.push(Round {
            flux: rate(JOBS, flux),
            floor: rate(JOBS, bare),
        });
    }
    worker.stop().await;
    Ok(vec![Measured::of(&rounds)])
}

/// Measures `count` jobs of `tasks` tasks each, from the start of the first to the end of the last. Up to `callers` starts
/// are under way at once, and the engines take turns.
pub(super) async fn jobs(
    engines: &[Engine],
    count: u32,
    tasks: u32,
    callers: usize,
) -> Result<Duration, Failure> {
    let all = async {
        let starts = (0..count as usize).map(|n| {
            let engine = &engines[n % engines.len()];
            let start = count_up.on(engine).start(tasks.into()).queue("jobs");
            tokio::spawn(start)
        });
        let starts = stream::iter(starts).buffer_unordered(callers);
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
    done.map(|()| took)
}

async fn bare(writer: &Arc<BareGroupWriter>) -> Result<Duration, Failure> {
    let all = async {
        let callers = (0..CALLERS).map(|_| {
            let writer = Arc::clone(writer);
            tokio::spawn(async move {
                for _ in 0..(JOBS as usize / CALLERS) * 3 {
                    writer.append().await?;
                }
                Ok::<_, String>(())
            })
        });
        for done in try_join_all(callers).await? {
            done?;
        }
        Ok::<_, Failure>(())
    };
    let (done, took) = timed(all).await;
    done.map(|()| took)
}

pub(super) async fn latency(dir: &Path) -> Outcome {
    let mut table = BareTable::open(&dir.join("bare.db"), "FULL")?;
    table.insert(2000)?;
    let same = {
        let engine = Engine::open(dir.join("same.db")).await?;
        let worker = engine.worker().spawn();
        let measured = one_by_one(&engine, &mut table, 499).await?;
        worker.stop().await;
        measured
    };
    let db = dir.join("other.db");
    let engine = Engine::open(&db).await?;
    let _worker = Other::start("worker", &db)?;
    let other = one_by_one(&engine, &mut table, 49).await?;
    Ok(vec![same, other])
}

/// One job after another, nothing else going on.
async fn one_by_one(
    engine: &Engine,
    table: &mut BareTable,
    rounds: usize,
) -> Result<Measured, Failure> {
    let mut measured = Vec::new();
    for round in 0..=rounds {
        let bare = tokio::task::block_in_place(|| table.insert(3))?;
        let job = async {
            count_up
                .on(engine)
                .start(1)
                .queue("jobs")
                .await?
                .wait()
                .await
        };
        let (run, took) = timed(job).await;
        run?.into_result()?;
        // The first waits for the worker to come up.
        if round > 0 {
            measured.push(Round {
                flux: took.as_secs_f64() * 1e3,
                floor: bare.as_secs_f64() * 1e3,
            });
        }
    }
    Ok(Measured::of(&measured))
}
