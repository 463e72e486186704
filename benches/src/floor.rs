//! The floors: what SQLite and the disk allow, without an engine.

use std::path::Path;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rusqlite::Connection;
use tokio::sync::{mpsc, oneshot};

/// About as much as a recorded call takes.
const ROW: &str = r#"{"number":1234567,"text":"a hundred bytes are about what one small recorded call takes in a file"}"#;

/// A bare table in a file with the settings that Flux uses.
pub(crate) struct BareTable {
    connection: Connection,
}

impl BareTable {
    pub(crate) fn open(path: &Path, synchronous: &str) -> rusqlite::Result<Self> {
        let connection = Connection::open(path)?;
        connection.execute_batch(&format!(
            "PRAGMA journal_mode = WAL; PRAGMA synchronous = {synchronous};
             CREATE TABLE IF NOT EXISTS bare(id INTEGER PRIMARY KEY, payload TEXT NOT NULL) STRICT;"
        ))?;
        Ok(Self { connection })
    }

    /// One row per commit, one after another.
    pub(crate) fn insert(&self, count: u32) -> rusqlite::Result<Duration> {
        let began = Instant::now();
        for _ in 0..count {
            self.insert_one()?;
        }
        Ok(began.elapsed())
    }

    fn insert_one(&self) -> rusqlite::Result<()> {
        let mut insert = self
            .connection
            .prepare_cached("INSERT INTO bare(payload) VALUES (?1)")?;
        insert.execute([ROW]).map(drop)
    }
}

/// A thread that commits whatever waits together: the least that a group commit needs.
pub(crate) struct BareGroupWriter {
    sender: mpsc::UnboundedSender<oneshot::Sender<()>>,
    _thread: JoinHandle<rusqlite::Result<()>>,
}

impl BareGroupWriter {
    pub(crate) fn open(path: &Path) -> rusqlite::Result<Self> {
        let table = BareTable::open(path, "FULL")?;
        let (sender, mut receiver) = mpsc::unbounded_channel::<oneshot::Sender<()>>();
        let thread = std::thread::spawn(move || {
            let mut waiting = Vec::new();
            while receiver.blocking_recv_many(&mut waiting, 4096) > 0 {
                table.connection.execute_batch("BEGIN IMMEDIATE")?;
                for _ in &waiting {
                    table.insert_one()?;
                }
                table.connection.execute_batch("COMMIT")?;
                for answer in waiting.drain(..) {
                    // Whoever gave up waiting does not mind.
                    let _ = answer.send(());
                }
            }
            Ok(())
        });
        Ok(Self {
            sender,
            _thread: thread,
        })
    }

    /// One durable row.
    pub(crate) async fn append(&self) -> Result<(), String> {
        let (answer, done) = oneshot::channel();
        self.sender
            .send(answer)
            .map_err(|_| "the bare writer has ended")?;
        done.await
            .map_err(|_| "the bare writer has ended".to_owned())
    }
}

/// Reads the rows of a history without making anything of them: kind, call, name, payload.
pub(crate) fn read_history(path: &Path, execution: &str) -> rusqlite::Result<(u32, Duration)> {
    let connection = Connection::open(path)?;
    let eid: i64 = connection.query_row(
        "SELECT eid FROM flux_executions WHERE id = ?1",
        [execution],
        |row| row.get(0),
    )?;
    let mut rows = connection.prepare(
        "SELECT kind, ref, name, payload FROM flux_events WHERE key BETWEEN ?1 AND ?2 ORDER BY key",
    )?;
    let began = Instant::now();
    let mut count = 0;
    let mut found = rows.query([eid << 24, (eid << 24) | 0xFF_FFFF])?;
    while let Some(row) = found.next()? {
        let _: (i64, Option<i64>) = (row.get(0)?, row.get(1)?);
        let _: (Option<Box<str>>, Option<Box<str>>) = (row.get(2)?, row.get(3)?);
        count += 1;
    }
    Ok((count, began.elapsed()))
}
