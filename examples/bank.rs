//! Several processes move money on one file while they are killed again and again; not a cent is lost or made.
//!
//! ```text
//! cargo run --example bank                       # a few hundred transfers
//! FLUX_SOAK=10 cargo run --release --example bank  # ten minutes of it
//! ```
//!
//! Every transfer asks an unreliable office for a permit (a task with retries), waits a moment (a durable timer), for a
//! large sum waits for a signature (a signal, sent by yet another process), and then moves the money. Three worker
//! processes share the work; every few hundred milliseconds one of them is killed with SIGKILL and another takes its
//! place. At the end the sum is what it was, every transfer happened once, none is stuck, and every history is whole.

use std::collections::BTreeSet;
use std::error::Error;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use flux::sqlite::rusqlite::{self, Connection, OpenFlags};
use flux::{
    Engine, EventKind, Execution, ExecutionContext, State, Status, TaskError, sqlite, task,
    workflow,
};
use serde::{Deserialize, Serialize};

/// Names the file that a worker process works on.
const FILE: &str = "BANK_FILE";
const WORKERS: usize = 3;
const ACCOUNTS: u32 = 20;
const CENTS_EACH: i64 = 100_000;
/// Transfers of more than this want a signature.
const LARGE: i64 = 900;

type Failure = Box<dyn Error + Send + Sync>;

#[derive(Clone, Serialize, Deserialize)]
struct Transfer {
    from: u32,
    to: u32,
    cents: i64,
}

/// An office that is often closed.
struct Office;

#[task(max_attempts = 20, backoff = "fixed(5ms)")]
async fn ask_for_permit(cents: i64, _office: State<Office>) -> Result<String, String> {
    if fastrand::u8(..4) == 0 {
        return Err("the office is closed".to_owned());
    }
    Ok(format!("permit for {cents} cents"))
}

#[workflow]
async fn move_money(ctx: ExecutionContext<Transfer>) -> Result<String, TaskError> {
    let Transfer { from, to, cents } = ctx.input().clone();
    let permit = ask_for_permit(cents).await?;
    flux::sleep(Duration::from_millis(u64::from(
        flux::random::<u16>() % 1500,
    )))
    .await;
    if cents > LARGE {
        flux::signal::<String>("signature").await;
    }
    let id = ctx.execution_id().to_string();
    // Exactly once: the money and the record that it was moved are one commit.
    sqlite::transaction("move", move |db| book(db, &id, from, to, cents)).await?;
    Ok(permit)
}

fn book(db: &Connection, id: &str, from: u32, to: u32, cents: i64) -> rusqlite::Result<()> {
    db.execute(
        "UPDATE accounts SET cents = cents - ?2 WHERE number = ?1",
        (from, cents),
    )?;
    db.execute(
        "UPDATE accounts SET cents = cents + ?2 WHERE number = ?1",
        (to, cents),
    )?;
    // No key on the id: a transfer that happens twice is to be seen.
    db.execute("INSERT INTO ledger VALUES (?1, ?2)", (id, cents))
        .map(drop)
}

async fn engine(file: &Path) -> Result<Engine, flux::Error> {
    let builder = Engine::builder().sqlite(file).state(Office);
    builder.idle_after(Duration::from_millis(20)).build().await
}

/// One worker process: works until it is killed, or told to stop.
#[tokio::main]
async fn work(file: &Path) -> Result<(), Failure> {
    let worker = engine(file).await?.worker().concurrency(32);
    worker.run_until(flux::shutdown_signal()).await?;
    Ok(())
}

/// A process that is killed when it is dropped.
struct Worker(Child);

impl Worker {
    fn start(file: &Path) -> std::io::Result<Self> {
        let mut program = Command::new(std::env::current_exe()?);
        #[cfg(test)]
        program.args(["--exact", "tests::a_worker_process_does_its_part"]);
        let program = program.env(FILE, file).stdout(Stdio::null());
        Ok(Self(program.spawn()?))
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        // It may be dead already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// What a run came to.
#[derive(Debug)]
struct Audit {
    transfers: usize,
    kills: u32,
    sum: i64,
}

/// Opens the accounts, lets the workers loose on the transfers, and looks at what they made of it.
async fn run_bank(file: &Path, transfers: usize, at_least: Duration) -> Result<Audit, Failure> {
    let engine = engine(file).await?;
    open_accounts(file)?;
    let mut workers = (0..WORKERS)
        .map(|_| Worker::start(file))
        .collect::<Result<Vec<_>, _>>()?;
    let began = Instant::now();
    let (mut ids, mut kills) = (Vec::new(), 0);
    while ids.len() < transfers || began.elapsed() < at_least {
        for _ in 0..transfers {
            ids.push(start_transfer(&engine).await?);
        }
        while unfinished(&engine).await? > 0 {
            tokio::time::sleep(Duration::from_millis(fastrand::u64(30..150))).await;
            sign(&engine, &ids).await?;
            let unlucky = fastrand::usize(..WORKERS);
            // Assigned first, so that the old one is killed while the new one is at work.
            workers[unlucky] = Worker::start(file)?;
            kills += 1;
            if began.elapsed() > at_least + Duration::from_mins(2) {
                return Err(format!("{} transfers are stuck", unfinished(&engine).await?).into());
            }
        }
    }
    drop(workers);
    audit(&engine, file, &ids, kills).await
}

async fn start_transfer(engine: &Engine) -> Result<String, Failure> {
    let from = fastrand::u32(..ACCOUNTS);
    let to = (from + 1 + fastrand::u32(..ACCOUNTS - 1)) % ACCOUNTS;
    let cents = fastrand::i64(1..=1000);
    let start = move_money
        .on(engine)
        .start(Transfer { from, to, cents })
        .queue("transfers");
    Ok(start.await?.execution_id().to_string())
}

async fn unfinished(engine: &Engine) -> Result<usize, flux::Error> {
    let open = engine
        .list()
        .status(Status::Pending)
        .status(Status::Running)
        .limit(usize::MAX);
    Ok(open.await?.len())
}

/// Signs what waits for a signature; once each, however often this is asked.
async fn sign(engine: &Engine, ids: &[String]) -> Result<(), flux::Error> {
    for id in ids {
        let run = engine.get(id).await?;
        if run.awaited_signals().iter().any(|name| name == "signature") {
            match engine
                .signal_once(id, "signature", "signed", "the one")
                .await
            {
                Ok(()) | Err(flux::Error::AlreadyFinished { .. }) => {}
                Err(error) => return Err(error),
            }
        }
    }
    Ok(())
}

fn open_accounts(file: &Path) -> rusqlite::Result<()> {
    let db = Connection::open(file)?;
    db.busy_timeout(Duration::from_secs(10))?;
    db.execute_batch(
        "CREATE TABLE accounts (number INTEGER PRIMARY KEY, cents INTEGER NOT NULL) STRICT;
         CREATE TABLE ledger (id TEXT NOT NULL, cents INTEGER NOT NULL) STRICT;",
    )?;
    for number in 0..ACCOUNTS {
        db.execute("INSERT INTO accounts VALUES (?1, ?2)", (number, CENTS_EACH))?;
    }
    Ok(())
}

/// Looks at everything: the money, the ledger, the executions and their histories.
async fn audit(engine: &Engine, file: &Path, ids: &[String], kills: u32) -> Result<Audit, Failure> {
    let db = Connection::open_with_flags(file, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    let sum: i64 = db.query_row("SELECT sum(cents) FROM accounts", [], |row| row.get(0))?;
    let booked: Vec<String> = db
        .prepare("SELECT id FROM ledger")?
        .query_map([], |row| row.get(0))?
        .collect::<Result<_, _>>()?;
    let different: BTreeSet<&String> = booked.iter().collect();
    if sum != i64::from(ACCOUNTS) * CENTS_EACH {
        return Err(format!("the sum is {sum}").into());
    }
    if booked.len() != ids.len() || different != ids.iter().collect() {
        return Err(format!(
            "{} of {} transfers are booked, {} different ones",
            booked.len(),
            ids.len(),
            different.len()
        )
        .into());
    }
    for id in ids {
        let run = engine.get(id).await?;
        check_history(&run).await?;
    }
    Ok(Audit {
        transfers: ids.len(),
        kills,
        sum,
    })
}

/// A history is whole: numbered without gaps, each call answered once, and its end the end.
async fn check_history(run: &Execution) -> Result<(), Failure> {
    if !run.has_succeeded() {
        return Err(format!("{run}").into());
    }
    let mut answered = BTreeSet::new();
    for (event, number) in run.events().await?.iter().zip(1..) {
        let is_answer = matches!(
            event.kind,
            EventKind::TaskCompleted
                | EventKind::TaskFailed
                | EventKind::TimerFired
                | EventKind::SignalReceived
        );
        if event.seq.get() != number || (is_answer && !answered.insert(event.refers)) {
            return Err(format!(
                "event {} of {} is out of place",
                event.seq,
                run.execution_id()
            )
            .into());
        }
    }
    Ok(())
}

fn main() -> Result<(), Failure> {
    if let Some(file) = std::env::var_os(FILE) {
        return work(Path::new(&file));
    }
    let minutes = std::env::var("FLUX_SOAK")
        .ok()
        .and_then(|minutes| minutes.parse::<u64>().ok());
    let at_least = Duration::from_secs(minutes.unwrap_or(0) * 60);
    let transfers = if minutes.is_some() { 2000 } else { 300 };
    let folder = tempfile::tempdir()?;
    let runtime = tokio::runtime::Runtime::new()?;
    let audit = runtime.block_on(run_bank(
        &folder.path().join("bank.db"),
        transfers,
        at_least,
    ))?;
    println!(
        "{} transfers, {} worker processes killed, {} cents before and after",
        audit.transfers, audit.kills, audit.sum
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Not a test by itself: what the worker processes of the other one run.
    #[test]
    fn a_worker_process_does_its_part() {
        if let Some(file) = std::env::var_os(FILE) {
            work(Path::new(&file)).unwrap();
        }
    }

    #[test]
    fn no_cent_is_lost_or_made_while_workers_are_killed() {
        let folder = tempfile::tempdir().unwrap();
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let file = folder.path().join("bank.db");
        let bank = run_bank(&file, 150, Duration::ZERO);
        let audit = runtime.block_on(bank).unwrap();
        assert_eq!(audit.transfers, 150);
        assert!(audit.kills > 0);
    }
}
