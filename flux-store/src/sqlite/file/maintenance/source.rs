//! A file as it is: opened to be read, and neither it nor what lies beside it is changed.

use std::fs;
use std::io;
use std::path::Path;

use flux_core::store::StoreError;
use rusqlite::Connection;

use crate::sqlite::error::Blame;
use crate::sqlite::file::inspect::{NONE_THERE, Schema, damaged_schema, length, look, schema};
use crate::sqlite::file::migrate;
use crate::sqlite::file::path::Location;
use crate::sqlite::file::presence::other_names;
use crate::sqlite::io::connection::patiently;

const EMPTY: &str = "the file is empty: a program that uses it makes its tables when it first runs, and \
     `flux db migrate` does so now";
const CUT_SHORT: &str =
    "the file is empty but its write-ahead log is not: it was cut short; restore it from a backup";
const FOLDER: &str = "it is a folder: give the path of a file in it";
const FOREIGN: &str =
    "it is a SQLite database of another program: give the path of one that Flux writes to";

/// A file that is there and is ours.
pub(super) struct Source {
    pub(super) at: Location,
    pub(super) connection: Connection,
    /// The version of its tables; `None`: it has none at all.
    pub(super) schema: Option<u32>,
    pub(super) blame: Blame,
    action: &'static str,
}

impl Source {
    /// Opens the file for what `action` says.
    pub(super) fn open(path: &Path, action: &'static str) -> Result<Self, StoreError> {
        let at = Location::of_existing(path, action)?;
        let blame = Blame::new(at.file.display().to_string());
        refuse_unless_file(&at, &blame, action)?;
        let opened = patiently(|| {
            let connection = look(&at, length(&at.wal()))?;
            let found = Tables::read(&connection)?;
            Ok((connection, found))
        });
        let (connection, found) = opened.map_err(|error| blame.sqlite(action, error))?;
        let schema = match found {
            Tables::None => None,
            Tables::OfFlux(version) => Some(version),
            Tables::OfOthers => return Err(blame.plain(action, FOREIGN)),
            Tables::Damaged(found) => return Err(blame.plain(action, damaged_schema(&found))),
        };
        Ok(Self {
            at,
            connection,
            schema,
            blame,
            action,
        })
    }

    /// Reads from it, all at one moment.
    pub(super) fn read<T>(
        &self,
        read: impl FnOnce(&Connection) -> rusqlite::Result<T>,
    ) -> Result<T, StoreError> {
        let view = self.connection.unchecked_transaction();
        view.and_then(|view| read(&view))
            .map_err(|error| self.blame.sqlite(self.action, error))
    }
}

fn refuse_unless_file(
    at: &Location,
    blame: &Blame,
    action: &'static str,
) -> Result<(), StoreError> {
    let refused = |reason| Err(blame.plain(action, reason));
    match fs::metadata(&at.file) {
        Ok(found) if found.is_dir() => refused(FOLDER),
        Ok(found) if found.len() == 0 && length(&at.wal()) > 0 => refused(CUT_SHORT),
        Ok(found) if found.len() == 0 => refused(EMPTY),
        Ok(found) => other_names(&at.file, &found).map_or(Ok(()), refused),
        Err(error) if error.kind() == io::ErrorKind::NotFound => refused(NONE_THERE),
        Err(error) => Err(blame.io(action, "it cannot be looked at", error)),
    }
}

/// Whose tables a file has.
enum Tables {
    None,
    OfFlux(u32),
    OfOthers,
    /// Of Flux, and what stands where their version should.
    Damaged(String),
}

impl Tables {
    fn read(connection: &Connection) -> rusqlite::Result<Self> {
        let tables: i64 =
            connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
        Ok(match schema(connection)? {
            _ if tables == 0 => Self::None,
            Schema::None => Self::OfOthers,
            Schema::Version(version) => Self::OfFlux(version),
            Schema::Damaged(found) => Self::Damaged(found),
        })
    }
}

/// Whether this program knows what the tables of this version mean.
pub(super) fn is_known(schema: u32) -> bool {
    (1..=migrate::KNOWN).contains(&schema)
}
