//! Opening a file: look first, then set it up, then serve it.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use flux_core::store::{Migrated, StoreError};

use super::Durability;
use super::alive::beat::STALL_AFTER;
use super::error::Blame;
use super::file::inspect::{Errand, Foreign, Schema, Verdict, inspect, schema};
use super::file::migrate::{self, KNOWN};
use super::file::path::Location;
use super::file::presence::Presence;
use super::io::connection::{Db, patiently};
use super::io::thread;
use super::store::SqliteStore;

const OPEN: &str = "open the file";

/// How a SQLite file is opened.
///
/// # Examples
///
/// ```
/// # let folder = tempfile::tempdir()?;
/// # let path = folder.path().join("shop.db");
/// use flux_store::{Durability, SqliteOptions};
///
/// let store = SqliteOptions::new(path).durability(Durability::Relaxed).open_blocking()?;
/// # drop(store);
/// # Ok::<_, Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
#[must_use = "nothing is opened before `open` is called"]
pub struct SqliteOptions {
    path: PathBuf,
    settings: Settings,
    foreign: Foreign,
}

/// What a store is told besides its file.
#[derive(Clone, Copy, Debug)]
pub(super) struct Settings {
    pub(super) durability: Durability,
    pub(super) stall_after: Duration,
    pub(super) errand: Errand,
}

impl SqliteOptions {
    /// Names the file; it is created with its folders if it does not exist.
    pub fn new(path: impl AsRef<Path>) -> Self {
        Self {
            path: path.as_ref().to_owned(),
            settings: Settings {
                durability: Durability::Full,
                stall_after: STALL_AFTER,
                errand: Errand::Use,
            },
            foreign: Foreign::Refuse,
        }
    }

    /// Sets what a commit survives; [`Durability::Full`] unless said.
    pub fn durability(mut self, durability: Durability) -> Self {
        self.settings.durability = durability;
        self
    }

    /// Sets how long a worker may live without showing that it runs, before others take over what it drives: its
    /// process was stopped, or its machine does nothing but swap. The default is 60 s. A process that has died is
    /// noticed at once, without this.
    ///
    /// A quarter of it, at most 5 s, is how often this process shows it itself. What a stalled worker writes when
    /// it goes on is refused.
    pub fn stall_after(mut self, span: Duration) -> Self {
        self.settings.stall_after = span;
        self
    }

    /// Allows the file to be a database with tables of its own, so that a `transaction` can write to
    /// them. Flux's tables are added beside them; the file changes to a write-ahead log.
    pub fn adopt(mut self, adopt: bool) -> Self {
        self.foreign = if adopt {
            Foreign::Adopt
        } else {
            Foreign::Refuse
        };
        self
    }

    /// Opens the file only to look at it and to steer what is there: opening neither creates nor changes anything. A
    /// file that is not there, or whose tables are older than this program, is an error that says the cure. What the
    /// store is asked to write afterwards it writes.
    pub fn onlooker(mut self) -> Self {
        self.settings.errand = Errand::Look;
        self
    }

    /// Opens the file, on a thread of its own: it works on every runtime, and without one.
    pub async fn open(self) -> Result<SqliteStore, StoreError> {
        let blame = Blame::new(self.path.display().to_string());
        thread::run(OPEN, blame, move || self.open_blocking()).await
    }

    /// Opens the file on this thread.
    pub fn open_blocking(self) -> Result<SqliteStore, StoreError> {
        Ok(self.open_and_tell()?.0)
    }

    /// The same, and what opening did to the tables.
    pub(super) fn open_and_tell(self) -> Result<(SqliteStore, Migrated), StoreError> {
        let at = Location::resolve(&self.path, self.settings.errand)?;
        let blame = Blame::new(at.file.display().to_string());
        let mut migrated = Migrated {
            from: Some(KNOWN),
            to: KNOWN,
        };
        let db = patiently(|| self.attempt(&at, &blame, &mut migrated));
        let db = db.map_err(|error| blame.sqlite(OPEN, error))??;
        let presence =
            Presence::of(&at).map_err(|error| blame.io(OPEN, "it cannot be looked at", error))?;
        let store = SqliteStore::start(at, presence, self.settings, db, blame);
        Ok((store, migrated))
    }

    fn attempt(
        &self,
        at: &Location,
        blame: &Blame,
        migrated: &mut Migrated,
    ) -> rusqlite::Result<Result<Db, StoreError>> {
        let errand = self.settings.errand;
        if let Verdict::Refused(error) = inspect(at, errand, self.foreign, blame)? {
            return Ok(Err(error));
        }
        let db = match errand {
            Errand::Use => self.set_up(at, blame, migrated)?,
            Errand::Look => self.look(at, blame)?,
        };
        let Ok(db) = db else { return Ok(db) };
        match schema(&db.connection)? {
            Schema::Version(KNOWN) => Ok(Ok(db)),
            // Another program opened the file since we looked.
            _ => Ok(Err(blame.plain(
                OPEN,
                "another version of Flux is changing it: try again",
            ))),
        }
    }

    /// Opens the file with all that a program needs that uses it.
    fn set_up(
        &self,
        at: &Location,
        blame: &Blame,
        migrated: &mut Migrated,
    ) -> rusqlite::Result<Result<Db, StoreError>> {
        if let Err(error) = fs::create_dir_all(&at.workers) {
            return Ok(Err(blame.io(
                OPEN,
                "its folder is read-only or full: make it writable",
                error,
            )));
        }
        let mut db = Db::open(&at.file)?;
        if let Err(reason) = db.configure(self.settings.durability)? {
            return Ok(Err(blame.plain(OPEN, reason)));
        }
        if let Some(done) = migrate::migrate(&mut db.connection)? {
            *migrated = done;
        }
        Ok(Ok(db))
    }

    /// Opens the file as it is: a copy of a store, say, keeps its journal mode.
    fn look(&self, at: &Location, blame: &Blame) -> rusqlite::Result<Result<Db, StoreError>> {
        let db = Db::open_existing(&at.file)?;
        let tuned = db.tune(self.settings.durability)?;
        Ok(tuned
            .map(|()| db)
            .map_err(|reason| blame.plain(OPEN, reason)))
    }
}
