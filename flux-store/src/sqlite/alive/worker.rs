//! Who is alive: every worker holds a lock on a file of its own, and the kernel takes it back at
//! death, however sudden.
//!
//! The locks belong to the open file, not to the process: two stores in one process are two owners,
//! and a process id that is used again means nothing.
//!
//! A file that is missing says nothing by itself: a worker that leaves unlocks it, and its beat is taken out of its row
//! before the file is deleted. So a folder that somebody removes makes no worker dead, and a worker that finds its file gone makes another.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use flux_core::clock::Timestamp;
use flux_core::id::WorkerId;
use flux_core::store::WorkerRecord;
use rusqlite::{Connection, OptionalExtension as _};
use tokio::sync::Notify;

use crate::sqlite::io::connection::Db;
use crate::sqlite::io::group::{Fault, Member, Outcome};
use crate::sqlite::io::writer::WeakWriter;
use crate::sqlite::table::row;
use crate::sync::lock;

/// What the lock file of a worker says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sign {
    /// It is locked, or cannot be looked at: better to wait for a dead one than to drive twice.
    Locked,
    /// It is not locked: the worker has died or left.
    Unlocked,
    /// There is none.
    Missing,
}

/// The workers of one file.
#[derive(Clone)]
pub(crate) struct Workers {
    folder: Arc<Path>,
    /// Those of this store that have left, and whose rows say so.
    left: Arc<Mutex<Vec<WorkerId>>>,
}

impl Workers {
    pub(crate) fn new(folder: PathBuf) -> Self {
        Self {
            folder: folder.into(),
            left: Arc::default(),
        }
    }

    /// What the worker's file says. Asking takes the lock for a moment, shared, so that several who ask
    /// at once do not take each other for the worker.
    pub(crate) fn sign(&self, worker: WorkerId) -> Sign {
        match File::open(self.file(worker)) {
            Ok(file) if file.try_lock_shared().is_ok() => Sign::Unlocked,
            Err(error) if error.kind() == io::ErrorKind::NotFound => Sign::Missing,
            _ => Sign::Locked,
        }
    }

    /// Whether the worker holds its lock.
    pub(crate) fn is_alive(&self, worker: WorkerId) -> bool {
        self.sign(worker) == Sign::Locked
    }

    /// Registers a worker that beats this often, after a [sweep](Self::sweep). Returns, too, whether another sweep has
    /// something to do.
    pub(crate) fn register(
        &self,
        connection: &Connection,
        every: Duration,
    ) -> rusqlite::Result<(WorkerId, bool)> {
        const REGISTER: &str = "INSERT INTO flux_workers (pid, host, started_at, beat, beats_every) \
             VALUES (?1, ?2, ?3, 0, ?4)";
        let has_silenced = self.sweep(connection)?;
        let now = Timestamp::from(SystemTime::now()).as_micros();
        connection.prepare_cached(REGISTER)?.execute((
            std::process::id(),
            host(),
            now,
            as_micros(every),
        ))?;
        Ok((WorkerId(connection.last_insert_rowid()), has_silenced))
    }

    /// Lists who is registered.
    pub(crate) fn list(&self, connection: &Connection) -> rusqlite::Result<Vec<WorkerRecord>> {
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
    pub(crate) fn lock(&self, worker: WorkerId) -> io::Result<Option<WorkerLock>> {
        let path = self.file(worker);
        make_folder(&self.folder)?;
        // A file that is there may be left from a database that was deleted.
        let file = match create(&path) {
            // The last worker that left has taken the folder with it.
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            opened => opened?,
        };
        match file.try_lock() {
            // A sweep deletes a file only while it holds the lock, so it did so before or never.
            Ok(()) if path.exists() => Ok(Some(WorkerLock {
                path,
                file: Mutex::new(Some(file)),
            })),
            Ok(()) | Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => {
                let _ = fs::remove_file(&path);
                Err(error)
            }
        }
    }

    /// Says who a worker is.
    pub(crate) fn describe(connection: &Connection, worker: WorkerId) -> rusqlite::Result<String> {
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

    /// Deletes the files of those that have left, and the folder if nobody is left in it.
    pub(crate) fn leave(&self) {
        let left = std::mem::take(&mut *lock(&self.left));
        for worker in left {
            let _ = fs::remove_file(self.file(worker));
        }
        let _ = fs::remove_dir(&self.folder);
    }

    /// Removes workers that no longer hold their lock, in two transactions: the first takes the beat out of their rows, a
    /// later one deletes their files and rows. If one transaction did both, a process that is killed between deleting a file
    /// and committing would leave a row with a beat and no file, which counts as alive. Returns whether another sweep has
    /// something to do.
    pub(crate) fn sweep(&self, connection: &Connection) -> rusqlite::Result<bool> {
        const SILENCE: &str = "UPDATE flux_workers SET beat = NULL WHERE id = ?1";
        const FORGET: &str = "DELETE FROM flux_workers WHERE id = ?1";
        let workers: Vec<(i64, bool)> = connection
            .prepare_cached("SELECT id, beat IS NOT NULL FROM flux_workers")?
            .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?
            .collect::<Result<_, _>>()?;
        let mut has_silenced = false;
        for (worker, beats) in workers {
            let id = WorkerId(worker);
            if beats {
                if self.sign(id) == Sign::Unlocked {
                    // A worker that has not locked its file yet is silenced, too: its first beat takes that back.
                    connection.prepare_cached(SILENCE)?.execute([worker])?;
                    has_silenced = true;
                }
            } else if self.bury(id) || self.sign(id) == Sign::Missing {
                connection.prepare_cached(FORGET)?.execute([worker])?;
            }
        }
        Ok(has_silenced)
    }

    /// Deletes the file of a dead worker; true if it is dead.
    fn bury(&self, worker: WorkerId) -> bool {
        let path = self.file(worker);
        File::open(&path).is_ok_and(|file| {
            let is_dead = file.try_lock().is_ok();
            if is_dead {
                // While it is locked by us: nobody can lock a file that is about to vanish.
                let _ = fs::remove_file(&path);
            }
            is_dead
        })
    }

    fn file(&self, worker: WorkerId) -> PathBuf {
        self.folder.join(worker.0.to_string())
    }
}

/// Makes the folder, also while workers that leave remove it. `create_dir_all` then fails with `AlreadyExists`: the folder
/// was there when it was to be created, and no longer when `create_dir_all` looked what is there.
fn make_folder(folder: &Path) -> io::Result<()> {
    for _ in 0..100 {
        match fs::create_dir_all(folder) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists && !folder.is_file() => {}
            made => return made,
        }
    }
    fs::create_dir_all(folder)
}

fn create(path: &Path) -> io::Result<File> {
    let mut create = OpenOptions::new();
    create.write(true).create(true).truncate(false).open(path)
}

/// The lock of a worker.
pub(crate) struct WorkerLock {
    path: PathBuf,
    /// Nothing once it is given up.
    file: Mutex<Option<File>>,
}

impl WorkerLock {
    /// Makes the file again if somebody has removed it; true if so. It is locked before it has its name.
    pub(crate) fn restore(&self) -> io::Result<bool> {
        let mut held = lock(&self.file);
        if held.is_none() || self.path.exists() {
            return Ok(false);
        }
        if let Some(folder) = self.path.parent() {
            make_folder(folder)?;
        }
        let unnamed = self.path.with_extension("new");
        let file = create(&unnamed)?;
        file.try_lock()?;
        fs::rename(&unnamed, &self.path)?;
        *held = Some(file);
        Ok(true)
    }

    /// Unlocks the file. Closing it would not be enough while this process starts a program, which inherits the open file
    /// for a moment.
    fn give_up(&self) {
        let mut held = lock(&self.file);
        if let Some(file) = held.take() {
            let _ = file.unlock();
        }
    }
}

/// Keeps a worker alive.
pub(crate) struct Alive {
    pub(crate) worker: WorkerId,
    pub(crate) lock: Arc<WorkerLock>,
    pub(crate) workers: Workers,
    pub(crate) writer: WeakWriter,
    pub(crate) gone: Arc<Notify>,
}

/// Counts the workers of this process that have left.
static LEFT: AtomicU64 = AtomicU64::new(0);

/// How many workers of this process have left, of whatever store.
pub(crate) fn left_in_this_process() -> u64 {
    LEFT.load(Ordering::Acquire)
}

impl Drop for Alive {
    fn drop(&mut self) {
        self.lock.give_up();
        LEFT.fetch_add(1, Ordering::AcqRel);
        self.writer.enqueue(Box::new(Farewell {
            worker: self.worker,
            workers: self.workers.clone(),
        }));
        self.gone.notify_waiters();
    }
}

/// Takes the beat of a worker that has left out of its row; the next that registers deletes the row. Its file is deleted
/// when the store is closed, and not before: one who still reads of the beat has to find that nothing is locked.
struct Farewell {
    worker: WorkerId,
    workers: Workers,
}

impl Member for Farewell {
    fn run(&mut self, db: &Db) -> Result<(), Fault> {
        const LEAVE: &str = "UPDATE flux_workers SET beat = NULL WHERE id = ?1";
        let mut leave = db.connection.prepare_cached(LEAVE)?;
        leave.execute([self.worker.0])?;
        Ok(())
    }

    fn answer(self: Box<Self>, outcome: Outcome) {
        if matches!(outcome, Outcome::Done) {
            lock(&self.workers.left).push(self.worker);
        }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_made_while_others_remove_it() {
        let place = tempfile::tempdir().unwrap();
        let folder = place.path().join("flux.db-workers");
        let is_over = std::sync::atomic::AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                while !is_over.load(Ordering::Relaxed) {
                    let _ = fs::remove_dir(&folder);
                }
            });
            let made: io::Result<()> = (0..20_000).try_for_each(|_| make_folder(&folder));
            is_over.store(true, Ordering::Relaxed);
            made.unwrap();
        });
        // The last removal may have come before the last making.
        let _ = fs::remove_dir(&folder);
        fs::write(&folder, "").unwrap();
        make_folder(&folder).unwrap_err();
    }

    /// PITFALL: a program that was just being started had the locked file, too, and a worker that had left counted as alive.
    #[test]
    fn a_worker_that_leaves_is_gone_although_another_program_has_its_file() {
        let place = tempfile::tempdir().unwrap();
        let workers = Workers::new(place.path().join("flux.db-workers"));
        let lock = workers.lock(WorkerId(1)).unwrap().unwrap();
        assert_eq!(workers.sign(WorkerId(1)), Sign::Locked);
        let inherited = lock.file.lock().unwrap().as_ref().unwrap().try_clone();
        lock.give_up();
        assert_eq!(workers.sign(WorkerId(1)), Sign::Unlocked);
        drop(inherited);
    }

    /// PITFALL: a process was killed after it had deleted the file of a dead worker and before that was written, and the
    /// dead worker counted as alive until it had not beaten for long.
    #[test]
    fn a_sweep_that_is_cut_off_leaves_no_dead_worker_that_counts_as_alive() {
        let place = tempfile::tempdir().unwrap();
        let workers = Workers::new(place.path().join("flux.db-workers"));
        let connection = Connection::open_in_memory().unwrap();
        connection
            .execute_batch(
                "CREATE TABLE flux_workers (id INTEGER PRIMARY KEY, beat INTEGER); \
                 INSERT INTO flux_workers VALUES (1, 7)",
            )
            .unwrap();
        workers.lock(WorkerId(1)).unwrap().unwrap().give_up();
        let read = "SELECT count(*), count(beat) FROM flux_workers";
        let rows = || -> (u32, u32) {
            let row = connection.query_row(read, [], |row| Ok((row.get(0)?, row.get(1)?)));
            row.unwrap()
        };
        assert!(workers.sweep(&connection).unwrap());
        assert_eq!(
            (rows(), workers.sign(WorkerId(1))),
            ((1, 0), Sign::Unlocked)
        );
        connection.execute_batch("BEGIN").unwrap();
        workers.sweep(&connection).unwrap();
        connection.execute_batch("ROLLBACK").unwrap();
        assert_eq!((rows(), workers.sign(WorkerId(1))), ((1, 0), Sign::Missing));
        assert!(!workers.sweep(&connection).unwrap());
        assert_eq!(rows(), (0, 0));
    }
}
