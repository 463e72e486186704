//! SQLite's errors in words that say what to do.

use std::sync::Arc;

use flux_core::store::StoreError;
use rusqlite::{ErrorCode, ffi};

use crate::sqlite::table::row::Unreadable;

/// Makes the errors of one store.
#[derive(Clone)]
pub(super) struct Blame {
    store: Arc<str>,
}

impl Blame {
    pub(super) fn new(store: impl Into<Arc<str>>) -> Self {
        Self {
            store: store.into(),
        }
    }

    pub(super) fn store(&self) -> &str {
        &self.store
    }

    /// An error that SQLite reported: in our words with SQLite's as the source, or in SQLite's alone.
    pub(super) fn sqlite(
        &self,
        action: &str,
        error: impl Into<Arc<rusqlite::Error>>,
    ) -> StoreError {
        let error = error.into();
        match known_reason(&error) {
            Some(reason) => StoreError {
                source: Some(error),
                ..self.plain(action, reason)
            },
            None => self.plain(action, text_of(&error)),
        }
    }

    /// An error that the operating system reported.
    pub(super) fn io(
        &self,
        action: &str,
        reason: impl Into<String>,
        error: std::io::Error,
    ) -> StoreError {
        StoreError {
            source: Some(Arc::new(error)),
            ..self.plain(action, reason)
        }
    }

    /// An error of our own.
    pub(super) fn plain(&self, action: &str, reason: impl Into<String>) -> StoreError {
        StoreError {
            store: self.store.to_string(),
            action: action.to_owned(),
            reason: reason.into(),
            source: None,
        }
    }
}

/// What SQLite says, without the statement that it says it of; of an error of ours what we say.
pub(super) fn text_of(error: &rusqlite::Error) -> String {
    match error {
        rusqlite::Error::SqlInputError { msg, .. } => msg.clone(),
        rusqlite::Error::FromSqlConversionFailure(_, _, source) if source.is::<Unreadable>() => {
            source.to_string()
        }
        _ => error.to_string(),
    }
}

/// An error of ours where SQLite's are expected.
pub(super) fn ours(reason: impl Into<String>) -> rusqlite::Error {
    rusqlite::Error::ToSqlConversionFailure(reason.into().into())
}

/// Whether the error comes from what was asked, and not from the file, the disk or the others.
///
/// Such an error fails the one who asked; every other error fails the whole group.
pub(super) fn is_own_fault(error: &rusqlite::Error) -> bool {
    match error.sqlite_error_code() {
        Some(code) => matches!(
            code,
            ErrorCode::ConstraintViolation
                | ErrorCode::TooBig
                | ErrorCode::TypeMismatch
                | ErrorCode::Unknown
        ),
        None => true,
    }
}

/// Whether the connection had better be opened anew before it is used again.
pub(super) fn breaks_connection(error: &rusqlite::Error) -> bool {
    matches!(
        error.sqlite_error_code(),
        Some(
            ErrorCode::SystemIoFailure
                | ErrorCode::DatabaseCorrupt
                | ErrorCode::NotADatabase
                | ErrorCode::CannotOpen
                | ErrorCode::ReadOnly
                | ErrorCode::ApiMisuse
        )
    )
}

/// Whether another connection is in the way for the moment.
pub(super) fn is_busy(error: &rusqlite::Error) -> bool {
    matches!(
        error.sqlite_error_code(),
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked)
    )
}

const DISK_FULL: &str = "the disk is full: free some space and resume";

const MOVED: &str = "the file was moved, deleted or replaced while it was open, and nothing more is written to it: \
     put it back, or end this program and start it again with the file that is there now";

fn extended_code(error: &rusqlite::Error) -> Option<i32> {
    error.sqlite_error().map(|error| error.extended_code)
}

fn known_reason(error: &rusqlite::Error) -> Option<&'static str> {
    Some(match error.sqlite_error_code()? {
        ErrorCode::DiskFull => DISK_FULL,
        // Memory that is shared through a file cannot grow.
        ErrorCode::SystemIoFailure if extended_code(error) == Some(ffi::SQLITE_IOERR_SHMSIZE) => {
            DISK_FULL
        }
        ErrorCode::SystemIoFailure => {
            "the disk reported an error: look whether it is full or failing"
        }
        ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked => {
            "another program has held the file locked for too long: end its transaction and try again"
        }
        ErrorCode::ReadOnly if extended_code(error) == Some(ffi::SQLITE_READONLY_DBMOVED) => MOVED,
        ErrorCode::ReadOnly | ErrorCode::PermissionDenied => {
            "the file or its folder is read-only: make both writable"
        }
        ErrorCode::CannotOpen => {
            "the file cannot be opened: look whether it and its folder exist and may be written"
        }
        ErrorCode::NotADatabase => "the file is not a SQLite database: choose another path",
        ErrorCode::DatabaseCorrupt => "the file is damaged or cut short: restore it from a backup",
        ErrorCode::TooBig => "a value is larger than SQLite can hold",
        _ => return None,
    })
}
