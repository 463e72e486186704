//! Many executions of ten tasks at once; the floor is a bare group-commit writer with as many waiting.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use flux::Engine;
use futures::future::try_join_all;

use super::{Failure, Outcome};
use crate::floor::BareGroupWriter;
use crate::measure::{Measured, Round, rate, timed};
use crate::workload::count_up;

const ROUNDS: usize = 9;
const TASKS: u32 = 10;

pub(super) async fn run(dir: &Path, executions: u32) -> Outcome {
    let writer = Arc::new(BareGroupWriter::open(&dir.join("bare.db"))?);
    let engine = Engine::open(dir.join("flux.db")).await?;
    let repeat = (2000 / executions).max(1);
    bare(&writer, executions, 1).await?;
    flux(&engine, executions, 1).await?;
    let mut rounds = Vec::new();
    for _ in 0..ROUNDS {
        let bare = bare(&writer, executions, repeat).await?;
        let flux = flux(&engine, executions, repeat).await?;
        let tasks = executions * TASKS * repeat;
        rounds.push(Round {
            flux: rate(tasks, flux),
            floor: rate(tasks, bare),
        });
    }
    Ok(vec![Measured::of(&rounds)])
}

async fn flux(engine: &Engine, executions: u32, repeat: u32) -> Result<Duration, Failure> {
    let all = async {
        for _ in 0..repeat {
            let runs = (0..executions).map(|_| tokio::spawn(count_up.on(engine).run(TASKS.into())));
            for run in try_join_all(runs).await? {
                run?.into_result()?;
            }
        }
        Ok::<_, Failure>(())
    };
    let (done, took) = timed(all).await;
    done.map(|()| took)
}

async fn bare(
    writer: &Arc<BareGroupWriter>,
    executions: u32,
    repeat: u32,
) -> Result<Duration, Failure> {
    let all = async {
        for _ in 0..repeat {
            let tasks = (0..executions).map(|_| {
                let writer = Arc::clone(writer);
                tokio::spawn(async move {
                    for _ in 0..TASKS {
                        writer.append().await?;
                    }
                    Ok::<_, String>(())
                })
            });
            for done in try_join_all(tasks).await? {
                done?;
            }
        }
        Ok::<_, Failure>(())
    };
    let (done, took) = timed(all).await;
    done.map(|()| took)
}
