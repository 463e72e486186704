//! Other processes: this program again, playing a part.

use std::future::Future;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use flux::Engine;

use crate::cases::Failure;
use crate::workload::survive;

const PART: &str = "FLUX_BENCH_PART";
const DB: &str = "FLUX_BENCH_DB";

/// The part that consists of nothing: what any process costs.
const IDLE: &str = "idle";

/// This program again, to end at once.
pub(crate) fn idle() -> std::io::Result<Command> {
    let mut command = Command::new(std::env::current_exe()?);
    command.env(PART, IDLE);
    Ok(command)
}

/// Whether this process is to end at once.
pub(crate) fn is_idle() -> bool {
    std::env::var(PART).is_ok_and(|part| part == IDLE)
}

/// What this process is to do, if it is one of the others.
pub(crate) fn part() -> Option<impl Future<Output = Result<(), Failure>>> {
    let part = std::env::var(PART).ok()?;
    let db = std::env::var(DB).ok()?;
    Some(async move {
        let engine = Engine::open(&db).await?;
        match part.as_str() {
            "worker" => engine.worker().run_until(std::future::pending()).await?,
            _ => drop(
                survive
                    .on(&engine)
                    .run(format!("{db}.marker"))
                    .execution_id(part)
                    .await?,
            ),
        }
        Ok(())
    })
}

/// A process that is killed when this is dropped.
pub(crate) struct Other(Child);

impl Other {
    /// Starts this program again: as a `worker`, or to run the execution of this id and hang in it.
    pub(crate) fn start(part: &str, db: &Path) -> std::io::Result<Self> {
        let program = std::env::current_exe()?;
        let child = Command::new(program)
            .env(PART, part)
            .env(DB, db)
            .stdin(Stdio::null())
            .spawn()?;
        Ok(Self(child))
    }

    /// Kills it and waits until it is dead.
    pub(crate) fn kill(&mut self) {
        // It may have died by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Drop for Other {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Waits until a file exists.
pub(crate) async fn exists(path: &Path) -> Result<(), Failure> {
    for _ in 0..10_000 {
        if path.exists() {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    Err(format!("{} does not appear", path.display()).into())
}

/// How much memory this process has, in bytes.
pub(crate) fn memory() -> f64 {
    const PAGE: f64 = 4096.0;
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let resident = statm
        .split(' ')
        .nth(1)
        .and_then(|pages| pages.parse::<f64>().ok());
    resident.unwrap_or(f64::NAN) * PAGE
}

/// How much processor time this process has used, in seconds.
pub(crate) fn processor_time() -> f64 {
    const TICKS: f64 = 100.0;
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let after_name = stat.rsplit(')').next().unwrap_or_default();
    let ticks = |nth: usize| {
        after_name
            .split_whitespace()
            .nth(nth)
            .and_then(|ticks| ticks.parse::<f64>().ok())
    };
    match (ticks(11), ticks(12)) {
        (Some(user), Some(system)) => (user + system) / TICKS,
        _ => f64::NAN,
    }
}
