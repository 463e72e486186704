//! Money moves between two accounts while the process is killed again and again; the sum never changes.
//!
//! ```text
//! cargo run --example transactional_transfer
//! ```
//!
//! The accounts are a table in the file that also holds the history. `flux::sqlite::transaction` commits the two updates
//! and the record that they were made in one database transaction: a transfer happens exactly once, whenever the
//! process dies. A task could not promise that; its body may run again after a crash.

use std::error::Error;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use flux::sqlite::rusqlite::{self, Connection, OpenFlags};
use flux::{Engine, ExecutionContext, TaskError, sqlite, workflow};

/// Names the file that a child works on.
const FILE: &str = "TRANSFER_FILE";
/// What a child prints when it begins.
const AT_WORK: &str = "at work";
const TRANSFERS: u32 = 50;
const SUM: i64 = 1000;

#[workflow]
async fn move_money(ctx: ExecutionContext<u32>) -> Result<i64, TaskError> {
    sqlite::transaction("open_accounts", |db| {
        db.execute_batch(
            "CREATE TABLE accounts (name TEXT PRIMARY KEY, cents INTEGER NOT NULL) STRICT",
        )?;
        db.execute("INSERT INTO accounts VALUES ('ada', ?1), ('bob', 0)", [SUM])
    })
    .await?;
    let mut moved = 0;
    for _ in 0..*ctx.input() {
        // Recorded: a replay draws the same amount.
        let cents = i64::from(flux::random::<u8>() % 10);
        moved += cents;
        sqlite::transaction("transfer", move |db| transfer(db, cents)).await?;
    }
    Ok(moved)
}

fn transfer(db: &Connection, cents: i64) -> rusqlite::Result<()> {
    db.execute(
        "UPDATE accounts SET cents = cents - ?1 WHERE name = 'ada'",
        [cents],
    )?;
    db.execute(
        "UPDATE accounts SET cents = cents + ?1 WHERE name = 'bob'",
        [cents],
    )?;
    Ok(())
}

/// One process: goes on with the transfers until they are done or it is killed.
#[tokio::main(flavor = "current_thread")]
async fn work(file: &Path) -> Result<(), Box<dyn Error>> {
    let engine = Engine::open(file).await?;
    println!("{AT_WORK}");
    move_money
        .on(&engine)
        .run(TRANSFERS)
        .execution_id("transfers")
        .await?
        .into_result()?;
    Ok(())
}

/// What is in the accounts, read by plain SQL; `None` before they are opened.
fn balances(file: &Path) -> Option<(i64, i64)> {
    let db = Connection::open_with_flags(file, OpenFlags::SQLITE_OPEN_READ_ONLY).ok()?;
    let cents = |name| {
        db.query_row(
            "SELECT cents FROM accounts WHERE name = ?1",
            [name],
            |row| row.get(0),
        )
        .ok()
    };
    Some((cents("ada")?, cents("bob")?))
}

/// Starts and kills children until one comes to the end; returns how many were killed.
fn kill_until_done(file: &Path) -> Result<u32, Box<dyn Error>> {
    for killed in 0.. {
        let mut child = Command::new(std::env::current_exe()?);
        let mut child = child
            .args(ARGS)
            .env(FILE, file)
            .stdout(Stdio::piped())
            .spawn()?;
        let mut lines = BufReader::new(child.stdout.take().ok_or("no output")?).lines();
        lines
            .by_ref()
            .map_while(Result::ok)
            .find(|line| line == AT_WORK);
        std::thread::sleep(Duration::from_micros(u64::from(flux::random::<u16>()) / 2));
        if let Some(status) = child.try_wait()? {
            return if status.success() {
                Ok(killed)
            } else {
                Err("a child failed".into())
            };
        }
        child.kill()?;
        child.wait()?;
        if let Some((ada, bob)) = balances(file) {
            println!("killed  ada {ada:>4}  bob {bob:>4}  sum {}", ada + bob);
            if ada + bob != SUM {
                return Err("the sum has changed".into());
            }
        }
    }
    unreachable!("`0..` does not end")
}

#[tokio::main(flavor = "current_thread")]
async fn moved(file: &Path) -> Result<i64, Box<dyn Error>> {
    let engine = Engine::open(file).await?;
    Ok(move_money
        .on(&engine)
        .get("transfers")
        .await?
        .into_result()?)
}

fn main() -> Result<(), Box<dyn Error>> {
    if let Some(file) = std::env::var_os(FILE) {
        return work(Path::new(&file));
    }
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("bank.db");
    let killed = kill_until_done(&file)?;
    let (ada, bob) = balances(&file).ok_or("there are no accounts")?;
    println!("done    ada {ada:>4}  bob {bob:>4}  sum {}", ada + bob);
    println!(
        "{killed} processes were killed; {TRANSFERS} transfers moved {}, each once",
        moved(&file)?
    );
    Ok(())
}

#[cfg(not(test))]
const ARGS: [&str; 0] = [];
/// In a test the program is the test binary, and a child is one of its tests.
#[cfg(test)]
const ARGS: [&str; 3] = ["--exact", "tests::child", "--nocapture"];

#[cfg(test)]
mod tests {
    use super::*;

    /// Not a test by itself: the process that the test below kills.
    #[test]
    fn child() {
        if let Some(file) = std::env::var_os(FILE) {
            work(Path::new(&file)).unwrap();
        }
    }

    #[test]
    fn every_transfer_happens_exactly_once_whenever_the_process_dies() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("bank.db");
        kill_until_done(&file).unwrap();
        let moved = moved(&file).unwrap();
        assert_eq!(balances(&file), Some((SUM - moved, moved)));
    }
}
