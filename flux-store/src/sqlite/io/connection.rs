//! Connections and their settings, each read back where it matters.

use std::cell::Cell;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use flux_core::store::Durability;
use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};

use crate::sqlite::error::{is_busy, ours};
use crate::sqlite::file::inspect::{Schema, damaged_schema, recorded_schema};
use crate::sqlite::file::migrate::KNOWN;

/// How long others may be in the way before a write fails.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);

/// The value of `PRAGMA synchronous` that gives this durability.
fn synchronous(durability: Durability) -> i64 {
    match durability {
        Durability::Full => 2,
        Durability::Relaxed => 1,
    }
}

/// The connection that writes, and what watches over a user's statements on it.
pub(crate) struct Db {
    pub(crate) connection: Connection,
    pub(crate) fence: Arc<TransactionFence>,
    /// How many pages the write-ahead log may grow to before it is copied into the file.
    log_pages: Cell<u32>,
    /// The latest look at the tables that found those that this program knows.
    known: Cell<Option<KnownSchema>>,
}

/// A look at the tables that found those that this program knows.
#[derive(Clone, Copy)]
struct KnownSchema {
    /// The file's version at that time, which every write by another process changes.
    version: i64,
    seen: Instant,
}

/// For so long after a look the tables count as the same. A look is inside a transaction: to change them, another process
/// first has to wait for its end, and its own transaction, which creates and drops tables, takes longer than this.
const SURE_FOR: Duration = Duration::from_micros(50);

/// For groups, which write many pages at once: fewer, larger copies.
const LARGE_LOG: u32 = 4000;

/// For commits one by one: the log is soon reused. Growing it costs each commit as much again as flushing it.
const SMALL_LOG: u32 = 1000;

/// What the log has grown beyond while somebody read for long is cut off, in bytes, once it is begun again: twice what it
/// usually grows to, so that it is not cut and grown in turn, which would cost as much as flushing it.
const MOST_LOG: u32 = 2 * LARGE_LOG * 4096;

/// A group of this size writes many pages.
const LARGE_GROUP: usize = 16;

/// Notices when a user's statements try to end the transaction they run in.
///
/// While it is up, a COMMIT becomes a rollback, and every rollback is remembered: nothing the user
/// runs can make half a group durable.
#[derive(Default)]
pub(crate) struct TransactionFence {
    up: AtomicBool,
    broken: AtomicBool,
}

impl TransactionFence {
    pub(crate) fn raise(&self) {
        self.broken.store(false, Ordering::Relaxed);
        self.up.store(true, Ordering::Relaxed);
    }

    /// Takes it down; true if the transaction was ended meanwhile.
    pub(crate) fn lower(&self) -> bool {
        self.up.store(false, Ordering::Relaxed);
        self.broken.load(Ordering::Relaxed)
    }
}

impl Db {
    /// Opens the file to write, without touching it yet.
    pub(crate) fn open(file: &Path) -> rusqlite::Result<Self> {
        Self::on(open(
            file,
            OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE,
        )?)
    }

    /// The same for a file that is there, and otherwise is not created.
    pub(crate) fn open_existing(file: &Path) -> rusqlite::Result<Self> {
        Self::on(open(file, OpenFlags::SQLITE_OPEN_READ_WRITE)?)
    }

    fn on(mut connection: Connection) -> rusqlite::Result<Self> {
        let fence = Arc::new(TransactionFence::default());
        let guard = Arc::clone(&fence);
        connection.commit_hook(Some(move || guard.up.load(Ordering::Relaxed)))?;
        let guard = Arc::clone(&fence);
        connection.rollback_hook(Some(move || guard.broken.store(true, Ordering::Relaxed)))?;
        connection.busy_handler(Some(wait_for_others()))?;
        Ok(Self {
            connection,
            fence,
            log_pages: Cell::new(LARGE_LOG),
            known: Cell::new(None),
        })
    }

    /// Sets the pace at which the log is copied into the file to what is being written.
    pub(crate) fn expect_group(&self, members: usize) {
        let pages = if members < LARGE_GROUP {
            SMALL_LOG
        } else {
            LARGE_LOG
        };
        if self.log_pages.replace(pages) != pages {
            // Only speed depends on it.
            let _ = self
                .connection
                .pragma_update(None, "wal_autocheckpoint", pages);
        }
    }

    /// Refuses to continue where a program of another version has changed the tables; called inside a transaction. The
    /// tables are read only after another process has written, which is asked at most once every 50 µs.
    pub(crate) fn check_tables(&self) -> rusqlite::Result<()> {
        let known = self.known.get();
        if known.is_some_and(|known| known.seen.elapsed() < SURE_FOR) {
            return Ok(());
        }
        let mut version = self.connection.prepare_cached("PRAGMA data_version")?;
        let version: i64 = version.query_row([], |row| row.get(0))?;
        let now = KnownSchema {
            version,
            seen: Instant::now(),
        };
        if known.is_some_and(|known| known.version == version) {
            self.known.set(Some(now));
            return Ok(());
        }
        match recorded_schema(&self.connection)? {
            Schema::Version(KNOWN) => {
                self.known.set(Some(now));
                Ok(())
            }
            Schema::Version(found) => Err(ours(format!(
                "another version of Flux has changed its tables while it was open (they have version {found} now, this \
                 program knows {KNOWN}), and this program writes nothing more to it: end it and start a newer one"
            ))),
            Schema::Damaged(found) => Err(ours(damaged_schema(&found))),
            Schema::None => Err(ours("its tables are gone")),
        }
    }

    /// Sets the write-ahead log and the durability; `Err` says what did not stick.
    pub(crate) fn configure(&self, durability: Durability) -> rusqlite::Result<Result<(), String>> {
        let mode: String = self
            .connection
            .query_row("PRAGMA journal_mode = WAL", [], |row| row.get(0))?;
        if mode != "wal" {
            return Ok(Err(format!(
                "a write-ahead log is not possible here (the journal mode is `{mode}`): \
                 keep the file on a local disk, not on a network share"
            )));
        }
        self.tune(durability)
    }

    /// Sets the durability and what makes for speed, which changes nothing in the file; `Err` says what did not stick.
    pub(crate) fn tune(&self, durability: Durability) -> rusqlite::Result<Result<(), String>> {
        self.connection.execute_batch(&format!(
            "PRAGMA synchronous = {level};
             PRAGMA fullfsync = 1;
             PRAGMA checkpoint_fullfsync = 1;
             PRAGMA wal_autocheckpoint = {LARGE_LOG};
             PRAGMA journal_size_limit = {MOST_LOG};
             PRAGMA cache_size = -65536;
             PRAGMA temp_store = MEMORY;",
            level = synchronous(durability),
        ))?;
        let level: i64 = self
            .connection
            .query_row("PRAGMA synchronous", [], |row| row.get(0))?;
        if level != synchronous(durability) {
            return Ok(Err(format!(
                "SQLite was asked for `synchronous = {}` and answers {level}",
                synchronous(durability)
            )));
        }
        Ok(Ok(()))
    }
}

/// Opens a connection that reads and refuses to write.
pub(crate) fn open_reader(file: &Path) -> rusqlite::Result<Connection> {
    let connection = open(file, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    connection.execute_batch(
        "PRAGMA query_only = ON; PRAGMA cache_size = -16384; PRAGMA temp_store = MEMORY;",
    )?;
    Ok(connection)
}

/// Opens a file by its name alone, never as a URI.
pub(crate) fn open(file: &Path, flags: OpenFlags) -> rusqlite::Result<Connection> {
    let mut connection =
        Connection::open_with_flags(file, flags | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    connection.set_prepared_statement_cache_capacity(160);
    // Else SQLite plans a statement again whenever a value is bound that an index over some rows may depend on, which costs
    // more than running it. Which index is used is said in the statements.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    connection.busy_handler(Some(wait_for_others()))?;
    Ok(connection)
}

/// Tries again while others are in the way: SQLite does not wait by itself when a change of the journal mode is, as
/// where another process is creating or closing the same file.
pub(crate) fn patiently<T>(mut work: impl FnMut() -> rusqlite::Result<T>) -> rusqlite::Result<T> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        match work() {
            Err(error) if is_busy(&error) && Instant::now() < deadline => {
                thread::sleep(Duration::from_millis(2));
            }
            done => return done,
        }
    }
}

/// Waits while others write.
///
/// SQLite's own handler sleeps up to 100 ms at a time, by which one of two busy writers starves.
/// Short sleeps leave both their turn.
fn wait_for_others() -> impl FnMut(i32) -> bool + Send + 'static {
    const FIRST: Duration = Duration::from_micros(60);
    const LONGEST: Duration = Duration::from_millis(2);
    let mut waited = Duration::ZERO;
    move |tries| {
        if tries == 0 {
            waited = Duration::ZERO;
        }
        if waited >= PATIENCE {
            return false;
        }
        let step = (FIRST * (1 + u32::try_from(tries).unwrap_or(0)).min(64)).min(LONGEST);
        thread::sleep(step);
        waited += step;
        true
    }
}
