//! Who is alive: every worker holds a lock on a file of its own, and the kernel takes it back at
//! death, however sudden.
//!
//! The locks belong to the open file, not to the process: two stores in one process are two owners,
//! and a process id that is used again means nothing.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use flux_core::clock::Timestamp;
use flux_core::id::WorkerId;
use flux_core::store::WorkerRecord;
use rusqlite::{Connection, OptionalExtension as _};
use tokio::sync::Notify;

use super::row;

/// The workers of one file.
#[derive(Clone)]
pub(super) struct Workers {
    folder: Arc<Path>,
}

impl Workers {
    pub(super) fn new(folder: PathBuf) -> Self {
        Self {
            folder: folder.into(),
        }
    }

    /// Whether the worker lives. Asking takes the lock for a moment, shared, so that several who ask
    /// at once do not take each other for the worker.
    pub(super) fn is_alive(&self, worker: WorkerId) -> bool {
        match File::open(self.file(worker)) {
            Ok(file) => file.try_lock_shared().is_err(),
            // It cannot be told from here: better to wait for a dead one than to drive twice.
            Err(error) => error.kind() != io::ErrorKind::NotFound,
        }
    }

    /// Writes down a new worker, which will beat this often, and forgets the dead ones.
    pub(super) fn register(
        &self,
        connection: &Connection,
        every: Duration,
    ) -> rusqlite::Result<WorkerId> {
        const REGISTER: &str = "INSERT INTO flux_workers (pid, host, started_at, beat, beats_every) \
             VALUES (?1, ?2, ?3, 0, ?4)";
        self.sweep(connection)?;
        let now = Timestamp::from(SystemTime::now()).as_micros();
        connection.prepare_cached(REGISTER)?.execute((
            std::process::id(),
            host(),
            now,
            as_micros(every),
        ))?;
        Ok(WorkerId(connection.last_insert_rowid()))
    }

    /// Lists who is registered.
    pub(super) fn list(&self, connection: &Connection) -> rusqlite::Result<Vec<WorkerRecord>> {
        const LIST: &str = "SELECT id, pid, host, started_at, (SELECT count(*) FROM flux_executions \
             INDEXED BY flux_executions_by_owner \
             WHERE owner = flux_workers.id AND owner IS NOT NULL AND status < 4), serves \
             FROM flux_workers ORDER BY id";
        let mut list = connection.prepare_cached(LIST)?;
        let workers = list.query_map([], |row| {
            let id = WorkerId(row.get(0)?);
            Ok(WorkerRecord {
                id,
                pid: row.get(1)?,
                host: row.get(2)?,
                started_at: Timestamp::from_micros(row.get(3)?),
                is_alive: self.is_alive(id),
                owns: row::count(row, 4)?,
                serves: row::serves(row, 5, id)?,
            })
        })?;
        workers.collect()
    }

    /// Locks the file of a registered worker. `None` when a sweep by another process took the new
    /// file for that of a dead worker: then its number is spoilt.
    pub(super) fn lock(&self, worker: WorkerId, gone: Arc<Notify>) -> io::Result<Option<Alive>> {
        let path = self.file(worker);
        fs::create_dir_all(&self.folder)?;
        // A file that is there may be left from a database that was deleted.
        let mut create = OpenOptions::new();
        create.write(true).create(true).truncate(false);
        let file = match create.open(&path) {
            // The last worker that left has taken the folder with it.
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            opened => opened?,
        };
        match file.try_lock() {
            // A sweep deletes a file only while it holds the lock, so it did so before or never.
            Ok(()) if path.exists() => Ok(Some(Alive {
                path,
                _file: file,
                gone,
            })),
            Ok(()) | Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => {
                let _ = fs::remove_file(&path);
                Err(error)
            }
        }
    }

    /// Says who a worker is.
    pub(super) fn describe(connection: &Connection, worker: WorkerId) -> rusqlite::Result<String> {
        const FIND: &str = "SELECT pid, host FROM flux_workers WHERE id = ?1";
        let found = connection
            .prepare_cached(FIND)?
            .query_row([worker.0], |row| {
                Ok((row.get::<_, u32>(0)?, row.get::<_, String>(1)?))
            })
            .optional()?;
        Ok(match found {
            Some((pid, _)) if pid == std::process::id() => {
                "another engine of this process".to_owned()
            }
            Some((pid, at)) if at == host() => format!("process {pid} on this machine"),
            Some((pid, at)) => format!("process {pid} on `{at}`"),
            None => "another process".to_owned(),
        })
    }

    /// Removes the folder if nobody is left in it.
    pub(super) fn leave(&self) {
        let _ = fs::remove_dir(&self.folder);
    }

    fn sweep(&self, connection: &Connection) -> rusqlite::Result<()> {
        let workers: Vec<i64> = connection
            .prepare_cached("SELECT id FROM flux_workers")?
            .query_map([], |row| row.get(0))?
            .collect::<Result<_, _>>()?;
        for worker in workers {
            if self.bury(WorkerId(worker)) {
                connection
                    .prepare_cached("DELETE FROM flux_workers WHERE id = ?1")?
                    .execute([worker])?;
            }
        }
        Ok(())
    }

    /// Deletes the file of a dead worker; true if it is dead.
    fn bury(&self, worker: WorkerId) -> bool {
        let path = self.file(worker);
        match File::open(&path) {
            Ok(file) if file.try_lock().is_ok() => {
                let _ = fs::remove_file(&path);
                true
            }
            Ok(_) => false,
            Err(error) => error.kind() == io::ErrorKind::NotFound,
        }
    }

    fn file(&self, worker: WorkerId) -> PathBuf {
        self.folder.join(worker.0.to_string())
    }
}

/// The lock of a living worker.
pub(super) struct Alive {
    path: PathBuf,
    _file: File,
    gone: Arc<Notify>,
}

impl Drop for Alive {
    fn drop(&mut self) {
        // Deleted first, unlocked after: nobody can lock a file that still stands for this worker.
        let _ = fs::remove_file(&self.path);
        self.gone.notify_waiters();
    }
}

fn as_micros(span: Duration) -> i64 {
    i64::try_from(span.as_micros()).unwrap_or(i64::MAX)
}

fn host() -> String {
    fs::read_to_string("/proc/sys/kernel/hostname")
        .or_else(|_| fs::read_to_string("/etc/hostname"))
        .map(|name| name.trim().to_owned())
        .or_else(|_| std::env::var("COMPUTERNAME"))
        .or_else(|_| std::env::var("HOSTNAME"))
        .unwrap_or_default()
}
