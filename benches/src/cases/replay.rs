//! A resume that replays many recorded tasks from disk; the floor is reading their rows.
//!
//! What a resume costs with nothing to replay (the claim, the answer, the end) is measured in the same round and
//! taken off.

use std::path::Path;
use std::time::Duration;

use flux::Engine;

use super::Outcome;
use crate::floor::read_history;
use crate::measure::{Measured, Round, median, timed};
use crate::workload::count_and_pause;

const ROUNDS: usize = 9;

pub(super) async fn run(dir: &Path, tasks: u32) -> Outcome {
    let path = dir.join("flux.db");
    let engine = Engine::open(&path).await?;
    let mut empty = Vec::new();
    for _ in 0..ROUNDS {
        empty.push(resume(&engine, 0).await?.0.as_secs_f64());
    }
    let empty = median(empty.into_iter());
    let mut rounds = Vec::new();
    for _ in 0..ROUNDS {
        let (took, id) = resume(&engine, tasks).await?;
        let (rows, read) = read_history(&path, &id)?;
        assert!(
            rows > 2 * tasks,
            "the history has a call and a result per task"
        );
        let per_task = |seconds: f64| seconds * 1e6 / f64::from(tasks);
        rounds.push(Round {
            flux: per_task((took.as_secs_f64() - empty).max(0.0)),
            floor: per_task(read.as_secs_f64()),
        });
    }
    Ok(vec![Measured::of(&rounds)])
}

/// How long a resume takes that replays so many tasks.
async fn resume(engine: &Engine, tasks: u32) -> Result<(Duration, String), flux::Error> {
    let paused = count_and_pause.on(engine).run(tasks.into()).await?;
    let id = paused.execution_id().to_string();
    let (resumed, took) = timed(count_and_pause.on(engine).resume(&id)).await;
    assert!(resumed?.has_succeeded(), "the resumed execution is done");
    Ok((took, id))
}
