//! Whether a million sleeping executions are in the way; the floor is the same work in an empty file.

use std::path::Path;
use std::time::SystemTime;

use flux::Engine;
use rusqlite::Connection;

use super::{Failure, Outcome};
use crate::measure::{Measured, Round, timed};
use crate::workload::{count_up, sleep_until};

const ROUNDS: usize = 499;

pub(super) async fn run(dir: &Path, sleepers: u32) -> Outcome {
    let full = dir.join("full.db");
    fill(&full, sleepers).await?;
    let full = Engine::open(full).await?;
    let empty = Engine::open(dir.join("empty.db")).await?;
    let workers = [full.worker().spawn(), empty.worker().spawn()];
    let (mut claims, mut starts) = (Vec::new(), Vec::new());
    for round in 0..=ROUNDS {
        let (floor, flux) = (job(&empty).await?, job(&full).await?);
        let (bare, started) = (run_one(&empty).await?, run_one(&full).await?);
        if round > 0 {
            claims.push(Round { flux, floor });
            starts.push(Round {
                flux: started,
                floor: bare,
            });
        }
    }
    for worker in workers {
        worker.stop().await;
    }
    Ok(vec![Measured::of(&claims), Measured::of(&starts)])
}

/// A job through a queue: it is claimed by the worker.
async fn job(engine: &Engine) -> Result<f64, Failure> {
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
    Ok(took.as_secs_f64() * 1e3)
}

async fn run_one(engine: &Engine) -> Result<f64, Failure> {
    let (run, took) = timed(count_up.on(engine).run(1)).await;
    run?.into_result()?;
    Ok(took.as_secs_f64() * 1e3)
}

/// Puts sleeping executions into a file: one as Flux writes it, and copies of its rows.
async fn fill(path: &Path, sleepers: u32) -> Result<(), Failure> {
    {
        let engine = Engine::builder()
            .sqlite(path)
            .idle_after(std::time::Duration::ZERO)
            .build()
            .await?;
        let worker = engine.worker().spawn();
        let far = SystemTime::now() + std::time::Duration::from_hours(24 * 365);
        let micros = u64::try_from(far.duration_since(SystemTime::UNIX_EPOCH)?.as_micros())?;
        let handle = sleep_until
            .on(&engine)
            .start(micros)
            .execution_id("template")
            .await?;
        while engine.get(handle.execution_id()).await?.worker().is_some() {
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
        worker.stop().await;
    }
    let path = path.to_owned();
    tokio::task::spawn_blocking(move || copy(&path, sleepers)).await??;
    Ok(())
}

fn copy(path: &Path, sleepers: u32) -> rusqlite::Result<()> {
    let file = Connection::open(path)?;
    let template: i64 = file.query_row(
        "SELECT eid FROM flux_executions WHERE id = 'template'",
        [],
        |row| row.get(0),
    )?;
    let columns: Vec<String> = file
        .prepare("SELECT name FROM pragma_table_info('flux_executions') WHERE name NOT IN ('eid', 'id', 'ready_at')")?
        .query_map([], |row| row.get(0))?
        .collect::<Result<_, _>>()?;
    let columns = columns.join(", ");
    file.execute_batch("PRAGMA synchronous = OFF; BEGIN")?;
    file.execute(
        &format!(
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?2)
             INSERT INTO flux_executions (eid, id, ready_at, {columns})
             SELECT ?1 + i, 'sleeper-' || i, ready_at + i, {columns} FROM n, flux_executions WHERE eid = ?1"
        ),
        (template, sleepers),
    )?;
    file.execute(
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?2)
         INSERT INTO flux_events (key, kind, at, ref, name, payload, meta)
         SELECT e.key + (i << 24), e.kind, e.at, e.ref, e.name, e.payload, e.meta
         FROM n, flux_events AS e WHERE e.key >> 24 = ?1",
        (template, sleepers),
    )?;
    file.execute_batch("COMMIT; PRAGMA wal_checkpoint(TRUNCATE)")
}
