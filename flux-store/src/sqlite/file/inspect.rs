//! Looking at a file before anything is written to it.
//!
//! Only SQLite itself opens the file: if we did, closing it again would drop, by the rules of
//! POSIX, every lock that this process holds on it, those of other stores included.

use std::fs;
use std::io;
use std::path::Path;

use flux_core::store::StoreError;
use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags, OptionalExtension as _};

use super::migrate;
use super::path::Location;
use super::presence::other_names;
use crate::sqlite::error::Blame;
use crate::sqlite::io::connection;

const OPEN: &str = "open the file";

/// Whether tables of others may share the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Foreign {
    Refuse,
    Adopt,
}

/// What a file is opened for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Errand {
    /// To keep executions in it: it is created, and its tables are brought to the present version.
    Use,
    /// To look at it and to steer what is there: opening leaves it as it is.
    Look,
}

/// Why one who only looks finds nothing.
pub(crate) const NONE_THERE: &str = "there is none at this path: a program that uses it makes it when it first runs, \
     and `flux db migrate` makes an empty one";

/// What a file is, as far as opening it goes.
pub(crate) enum Verdict {
    /// It may be opened.
    Usable,
    /// It may not.
    Refused(StoreError),
}

/// Looks at the file, if there is one. `Err` is what SQLite said, to be tried again when it is busy.
pub(crate) fn inspect(
    at: &Location,
    errand: Errand,
    foreign: Foreign,
    blame: &Blame,
) -> rusqlite::Result<Verdict> {
    let log = length(&at.wal());
    match fs::metadata(&at.file) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Ok(empty(errand, blame));
        }
        Err(error) => {
            return Ok(Verdict::Refused(blame.io(
                OPEN,
                "it cannot be looked at",
                error,
            )));
        }
        Ok(found) if found.is_dir() => {
            return Ok(refused(
                blame,
                "it is a folder: give the path of a file in it",
            ));
        }
        Ok(found) if found.len() == 0 && log > 0 => {
            return Ok(refused(
                blame,
                "the file is empty but its write-ahead log is not: it was cut short; restore it from a backup",
            ));
        }
        Ok(found) => {
            if let Some(reason) = other_names(&at.file, &found) {
                return Ok(refused(blame, reason));
            }
            if found.len() == 0 {
                return Ok(empty(errand, blame));
            }
        }
    }
    let connection = look(at, log)?;
    if connection.is_readonly("main")? {
        return Ok(refused(
            blame,
            "the file is read-only: make it and its folder writable",
        ));
    }
    judge(&connection, errand, foreign, blame)
}

/// Opens the file so that looking leaves no trace: neither is a log left behind by a crash written
/// into the file, nor are new files left beside it.
pub(crate) fn look(at: &Location, log: u64) -> rusqlite::Result<Connection> {
    let connection = connection::open(&at.file, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, log > 0)?;
    connection.execute_batch("PRAGMA query_only = ON")?;
    Ok(connection)
}

/// A place that holds nothing yet.
fn empty(errand: Errand, blame: &Blame) -> Verdict {
    match errand {
        Errand::Use => Verdict::Usable,
        Errand::Look => refused(blame, NONE_THERE),
    }
}

fn judge(
    connection: &Connection,
    errand: Errand,
    foreign: Foreign,
    blame: &Blame,
) -> rusqlite::Result<Verdict> {
    // The first read that goes to the disk: what is no database or is cut short is found here.
    let tables: i64 =
        connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    if tables == 0 {
        return Ok(empty(errand, blame));
    }
    let schema = match schema(connection)? {
        Schema::None => None,
        Schema::Version(version) => Some(version),
        Schema::Damaged(found) => return Ok(refused(blame, &damaged_schema(&found))),
    };
    match schema {
        Some(version) if version > migrate::KNOWN => Ok(refused(
            blame,
            &format!(
                "it was written by a newer Flux (its tables have version {version}, this program knows \
                 {known}): update the program; the file was not touched",
                known = migrate::KNOWN
            ),
        )),
        None if foreign == Foreign::Refuse => Ok(refused(
            blame,
            "it is a SQLite database of another program: choose another path, or say `.adopt(true)` to \
             keep Flux's tables (`flux_*`) beside those that are there",
        )),
        None => Ok(empty(errand, blame)),
        Some(version) if errand == Errand::Look && version < migrate::KNOWN => Ok(refused(
            blame,
            &format!(
                "it was written by an older Flux (its tables have version {version}, this program knows {known}): \
                 `flux db migrate` brings it up to date; older programs cannot use it after that",
                known = migrate::KNOWN
            ),
        )),
        Some(_) => Ok(Verdict::Usable),
    }
}

/// What a file says of the version of Flux's tables.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Schema {
    /// It has none.
    None,
    Version(u32),
    /// What stands where the version should.
    Damaged(String),
}

/// Reads the version of Flux's tables.
pub(crate) fn schema(connection: &Connection) -> rusqlite::Result<Schema> {
    let ours: bool = connection.query_row(
        "SELECT count(*) = 2 FROM pragma_table_info('flux_meta') WHERE name IN ('key', 'value')",
        [],
        |row| row.get(0),
    )?;
    if ours {
        recorded_schema(connection)
    } else {
        Ok(Schema::None)
    }
}

/// The same where the table that says it is there.
pub(crate) fn recorded_schema(connection: &Connection) -> rusqlite::Result<Schema> {
    const READ: &str = "SELECT CAST(value AS TEXT) FROM flux_meta WHERE key = 'schema'";
    let mut read = connection.prepare_cached(READ)?;
    let found: Option<String> = read.query_row([], |row| row.get(0)).optional()?;
    Ok(match found {
        Some(found) => match found.parse() {
            Ok(version) if version > 0 => Schema::Version(version),
            _ => Schema::Damaged(format!("`{found}`")),
        },
        None => Schema::Damaged("nothing".to_owned()),
    })
}

/// Why a file with such a version is left alone.
pub(crate) fn damaged_schema(found: &str) -> String {
    format!(
        "it is damaged: `flux_meta` holds {found} where the version of its tables is kept (`schema`); restore it from a \
         backup, or put the version back, {known} for tables that this program made",
        known = migrate::KNOWN
    )
}

fn refused(blame: &Blame, reason: &str) -> Verdict {
    Verdict::Refused(blame.plain(OPEN, reason))
}

pub(crate) fn length(file: &Path) -> u64 {
    fs::metadata(file).map_or(0, |found| found.len())
}
