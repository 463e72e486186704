//! What a person at a terminal waits for: the binary `flux`, started as a process, from there to its end.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant, SystemTime};

use flux::Engine;
use rusqlite::Connection;

use super::{Failure, Outcome};
use crate::measure::{Measured, Round};
use crate::process::idle;
use crate::workload::{count_and_pause, count_up, fail, sleep_until};

const ROUNDS: usize = 31;
const STARTS: usize = 101;

/// Starts of the binary beside a process that does nothing.
pub(super) async fn start(dir: &Path) -> Outcome {
    let db = dir.join("empty.db");
    drop(Engine::open(&db).await?);
    let flux = Flux::built()?;
    tokio::task::spawn_blocking(move || {
        let mut version = Vec::new();
        let mut list = Vec::new();
        for round in 0..=STARTS {
            let floor = took(&mut idle()?)?;
            let bare = flux.took(&db, &["--version"])?;
            let listed = flux.took(&db, &["list"])?;
            if round > 0 {
                version.push(Round { flux: bare, floor });
                list.push(Round {
                    flux: listed,
                    floor,
                });
            }
        }
        Ok(vec![Measured::of(&version), Measured::of(&list)])
    })
    .await?
}

/// Listings of many executions beside the same ones of a few.
pub(super) async fn list(dir: &Path, count: u32) -> Outcome {
    let stores = Stores::filled(dir, count).await?;
    tokio::task::spawn_blocking(move || {
        [
            ["list"].as_slice(),
            &["list", "--status", "failed"],
            &["list", "--workflow", "sleep_until"],
            &[
                "list",
                "--workflow",
                "count_and_pause",
                "--status",
                "paused",
            ],
            // Nothing fits: all would have to be read.
            &["list", "--workflow", "count_up", "--status", "cancelled"],
        ]
        .into_iter()
        .map(|args| stores.measured(args, args))
        .collect()
    })
    .await?
}

/// One of many executions, an old one, beside one of a few.
pub(super) async fn show(dir: &Path, count: u32) -> Outcome {
    let stores = Stores::filled(dir, count).await?;
    tokio::task::spawn_blocking(move || {
        let (many, few) = (old(&stores.many)?, old(&stores.few)?);
        let short = |id: &str| id[id.len() - 12..].to_owned();
        let whole = stores.measured(&["show", &many], &["show", &few])?;
        let (many, few) = (short(&many), short(&few));
        let by_end = stores.measured(&["show", &many], &["show", &few])?;
        Ok(vec![whole, by_end])
    })
    .await?
}

/// The binary that users have.
struct Flux(PathBuf);

impl Flux {
    /// The one beside this program, brought up to date where cargo is there.
    fn built() -> Result<Self, Failure> {
        let here = std::env::current_exe()?;
        let flux = here.with_file_name("flux");
        let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        cargo.args(["build", "--quiet", "-p", "flux-cli", "--bin", "flux"]);
        if !cfg!(debug_assertions) {
            cargo.arg("--release");
        }
        let is_fresh = cargo.status().is_ok_and(|status| status.success());
        if !is_fresh && !flux.exists() {
            return Err(format!("{} cannot be built", flux.display()).into());
        }
        Ok(Self(flux))
    }

    fn took(&self, db: &Path, args: &[&str]) -> Result<f64, Failure> {
        took(Command::new(&self.0).args(args).env("FLUX_STORE", db))
    }
}

/// From the start of a process to its end, in milliseconds.
fn took(command: &mut Command) -> Result<f64, Failure> {
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    let began = Instant::now();
    let status = command.status()?;
    let took = began.elapsed();
    if !status.success() {
        return Err(format!("{command:?} ended with {status}").into());
    }
    Ok(took.as_secs_f64() * 1e3)
}

/// A store with many executions, and one with a few.
struct Stores {
    flux: Flux,
    many: PathBuf,
    few: PathBuf,
}

impl Stores {
    async fn filled(dir: &Path, count: u32) -> Result<Self, Failure> {
        let (many, few) = (dir.join("many.db"), dir.join("few.db"));
        for (path, count) in [(&many, count), (&few, 100)] {
            fill(path, count).await?;
        }
        Ok(Self {
            flux: Flux::built()?,
            many,
            few,
        })
    }

    fn measured(&self, many: &[&str], few: &[&str]) -> Result<Measured, Failure> {
        let mut rounds = Vec::with_capacity(ROUNDS);
        for round in 0..=ROUNDS {
            let floor = self.flux.took(&self.few, few)?;
            let flux = self.flux.took(&self.many, many)?;
            if round > 0 {
                rounds.push(Round { flux, floor });
            }
        }
        Ok(Measured::of(&rounds))
    }
}

/// The id of one that is neither among the first nor among the last.
fn old(db: &Path) -> Result<String, Failure> {
    const MIDDLE: &str = "SELECT id FROM flux_executions \
         WHERE eid > (SELECT max(eid) FROM flux_executions) / 2 AND status = 4 ORDER BY eid LIMIT 1";
    Ok(Connection::open(db)?.query_row(MIDDLE, [], |row| row.get(0))?)
}

/// Of so many copies, how many are of which template.
const MIX: &[(&str, u32)] = &[
    ("completed", 14),
    ("failed", 2),
    ("paused", 2),
    ("running", 1),
    ("pending", 1),
];

/// Puts executions into a file: one of each kind as Flux writes it, and copies of their rows, with ids and moments of
/// their own.
async fn fill(path: &Path, count: u32) -> Result<(), Failure> {
    templates(path).await?;
    let path = path.to_owned();
    tokio::task::spawn_blocking(move || copy(&path, count)).await??;
    Ok(())
}

async fn templates(path: &Path) -> Result<(), Failure> {
    const YEAR: Duration = Duration::from_hours(24 * 365);
    let engine = Engine::builder()
        .sqlite(path)
        .idle_after(Duration::ZERO)
        .build()
        .await?;
    let _ = count_up
        .on(&engine)
        .run(3)
        .execution_id("completed")
        .await?;
    let _ = fail.on(&engine).run(3).execution_id("failed").await?;
    let _ = count_and_pause
        .on(&engine)
        .run(2)
        .execution_id("paused")
        .await?;
    let far = (SystemTime::now() + YEAR).duration_since(SystemTime::UNIX_EPOCH)?;
    let far = u64::try_from(far.as_micros())?;
    let pending = sleep_until.on(&engine).start(far).execution_id("pending");
    pending.delay(YEAR).await?;
    let worker = engine.worker().spawn();
    let running = sleep_until.on(&engine).start(far).execution_id("running");
    let running = running.await?;
    while engine.get(running.execution_id()).await?.worker().is_some() {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    worker.stop().await;
    Ok(())
}

fn copy(path: &Path, count: u32) -> rusqlite::Result<()> {
    let file = Connection::open(path)?;
    file.execute_batch(
        "PRAGMA synchronous = OFF; BEGIN;
         CREATE TEMP TABLE mix (slot INTEGER PRIMARY KEY, eid INTEGER NOT NULL, id TEXT NOT NULL);
         CREATE TEMP TABLE copies (eid INTEGER PRIMARY KEY, of INTEGER NOT NULL, later INTEGER NOT NULL);",
    )?;
    for (id, parts) in MIX {
        for _ in 0..*parts {
            file.execute(
                "INSERT INTO mix (eid, id) SELECT eid, id FROM flux_executions WHERE id = ?1",
                [id],
            )?;
        }
    }
    // Ten a second, up to now.
    file.execute(
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?1)
         INSERT INTO copies
         SELECT (SELECT max(eid) FROM flux_executions) + i, mix.eid, (i - ?1) * 100000
         FROM n JOIN mix ON slot = 1 + i * 7 % (SELECT count(*) FROM mix)",
        [count],
    )?;
    file.execute(&executions(&file)?, [])?;
    file.execute(
        "INSERT INTO flux_events (key, kind, at, ref, name, payload, meta)
         SELECT (copies.eid << 24) | (e.key & 16777215), e.kind, e.at + later, e.ref, e.name, e.payload, e.meta
         FROM copies CROSS JOIN flux_events AS e ON e.key BETWEEN (of << 24) AND (of << 24) + 16777215
         ORDER BY copies.eid",
        [],
    )?;
    file.execute_batch("COMMIT; PRAGMA wal_checkpoint(TRUNCATE)")
}

/// The statement that copies the rows: with ids as Flux mints them, which begin with the moment.
fn executions(file: &Connection) -> rusqlite::Result<String> {
    let columns: Vec<String> = file
        .prepare(
            "SELECT name FROM pragma_table_info('flux_executions') WHERE name NOT IN ('eid', 'id')",
        )?
        .query_map([], |row| row.get(0))?
        .collect::<Result<_, _>>()?;
    let values = columns.iter().map(|column| match column.as_str() {
        "created_at" | "started_at" | "finished_at" => format!("{column} + later"),
        _ => column.clone(),
    });
    let values: Vec<_> = values.collect();
    Ok(format!(
        "INSERT INTO flux_executions (eid, id, {})
         SELECT copies.eid,
                printf('%08x-%04x-7%03x-%04x-%012x',
                       ((created_at + later) / 1000) >> 16, ((created_at + later) / 1000) & 65535,
                       random() & 4095, 32768 | (random() & 16383), random() & 281474976710655),
                {}
         FROM copies JOIN flux_executions AS x ON x.eid = of ORDER BY copies.eid",
        columns.join(", "),
        values.join(", ")
    ))
}
