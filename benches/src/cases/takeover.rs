//! From the death of a process to the result that another has from its execution; the floor is the dying.

use std::path::Path;
use std::time::Instant;

use flux::Engine;

use super::Outcome;
use crate::measure::{Measured, Round};
use crate::process::{Other, exists};
use crate::workload::survive;

const ROUNDS: usize = 9;

pub(super) async fn run(dir: &Path) -> Outcome {
    let db = dir.join("flux.db");
    let engine = Engine::open(&db).await?;
    let worker = engine.worker().spawn();
    let marker = dir.join("flux.db.marker");
    let mut rounds = Vec::new();
    for round in 0..ROUNDS {
        let _ = std::fs::remove_file(&marker);
        let id = format!("survivor-{round}");
        let mut owner = Other::start(&id, &db)?;
        exists(&marker).await?;
        let began = Instant::now();
        tokio::task::block_in_place(|| owner.kill());
        let dead = began.elapsed();
        // The one that hung is waited for by its id; whoever drives it now.
        let input = format!("{}.marker", db.display());
        survive
            .on(&engine)
            .run(input)
            .execution_id(id)
            .await?
            .into_result()?;
        rounds.push(Round {
            flux: began.elapsed().as_secs_f64() * 1e3,
            floor: dead.as_secs_f64() * 1e3,
        });
    }
    worker.stop().await;
    Ok(vec![Measured::of(&rounds)])
}
