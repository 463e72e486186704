//! A copy of a file while others write to it.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io;
use std::path::{self, Path, PathBuf};
use std::time::SystemTime;

use flux_core::clock::Timestamp;
use flux_core::store::{BackedUp, StoreError};

use super::source::Source;
use crate::sqlite::error::Blame;
use crate::sqlite::inspect::length;

pub(super) const ACTION: &str = "copy the file";

const EXISTS: &str = "there is a file already: choose another name, or move it away first";

/// Copies the file at `from` to `to`.
pub(super) fn backup(from: &Path, to: &Path) -> Result<BackedUp, StoreError> {
    let source = Source::open(from, ACTION)?;
    let to = path::absolute(to).map_err(|error| cannot_write(&source.blame, to, error))?;
    refuse_existing(&source.blame, &to)?;
    let part = Part::beside(&to);
    write(&source, &part, &to)?;
    let finish = || {
        File::options().write(true).open(&part.path)?.sync_all()?;
        fs::rename(&part.path, &to)?;
        sync_folder_of(&to)
    };
    refuse_existing(&source.blame, &to)?;
    finish().map_err(|error| cannot_write(&source.blame, &to, error))?;
    Ok(BackedUp {
        bytes: length(&to),
        path: to,
    })
}

/// Writes what the file holds at this moment; whoever commits meanwhile is not kept waiting.
fn write(source: &Source, part: &Part, to: &Path) -> Result<(), StoreError> {
    let Some(name) = part.path.to_str() else {
        let reason = format!("`{}` is not UTF-8: choose another name", to.display());
        return Err(source.blame.plain(ACTION, reason));
    };
    // Not of the file, which is only read, but of the copy.
    let allowed = source.connection.execute_batch("PRAGMA query_only = OFF");
    let copied = allowed.and_then(|()| source.connection.execute("VACUUM INTO ?1", [name]));
    copied.map(drop).map_err(|error| {
        let error = source.blame.sqlite(ACTION, error);
        StoreError {
            reason: format!("to `{}`: {}", to.display(), error.reason),
            ..error
        }
    })
}

fn refuse_existing(blame: &Blame, to: &Path) -> Result<(), StoreError> {
    if fs::symlink_metadata(to).is_err() {
        return Ok(());
    }
    Err(blame.plain(ACTION, format!("to `{}`: {EXISTS}", to.display())))
}

fn cannot_write(blame: &Blame, to: &Path, error: io::Error) -> StoreError {
    let reason = format!(
        "`{}` cannot be written: look whether its folder exists, is writable and has room",
        to.display()
    );
    blame.io(ACTION, reason, error)
}

/// Makes the new name last. Where a folder cannot be opened, as on Windows, it does by itself.
fn sync_folder_of(file: &Path) -> io::Result<()> {
    match file.parent().map(File::open) {
        Some(Ok(folder)) => folder.sync_all(),
        _ => Ok(()),
    }
}

/// A copy that is being written, under another name beside its own. What is left of it is deleted when dropped.
struct Part {
    path: PathBuf,
}

impl Part {
    fn beside(to: &Path) -> Self {
        let now = Timestamp::from(SystemTime::now()).as_micros();
        let mut path = OsString::from(to);
        path.push(format!(".{}-{now}.part", std::process::id()));
        Self { path: path.into() }
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.path);
    }
}
