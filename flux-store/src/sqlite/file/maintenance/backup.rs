//! A copy of a file while others write to it.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io;
use std::path::{self, Path, PathBuf};
use std::time::SystemTime;

use flux_core::clock::Timestamp;
use flux_core::store::{BackedUp, StoreError};
use rusqlite::{Connection, OpenFlags};

use super::source::{Source, is_known};
use crate::sqlite::error::Blame;
use crate::sqlite::file::inspect::length;

pub(super) const ACTION: &str = "copy the file";

/// The version of the tables from which on workers beat.
const BEATS: u32 = 2;

const EXISTS: &str = "there is a file already: choose another name, or move it away first";

/// Copies the file at `from` to `to`.
pub(super) fn backup(from: &Path, to: &Path) -> Result<BackedUp, StoreError> {
    let source = Source::open(from, ACTION)?;
    let to = path::absolute(to).map_err(|error| cannot_write(&source.blame, to, error))?;
    refuse_existing(&source.blame, &to)?;
    clear_away(&to);
    let part = Part::beside(&to).map_err(|error| cannot_write(&source.blame, &to, error))?;
    write(&source, &part, &to)?;
    let finish = || {
        part.file.sync_all()?;
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
    let copied = copied.and_then(|_| let_workers_leave(source, &part.path));
    copied.map_err(|error| {
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

/// Nobody who lives uses the copy: in it they have left, and what they drive may be taken up as soon as it is used.
fn let_workers_leave(source: &Source, copy: &Path) -> rusqlite::Result<()> {
    if !source
        .schema
        .is_some_and(|schema| schema >= BEATS && is_known(schema))
    {
        return Ok(());
    }
    let copy = Connection::open_with_flags(copy, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    copy.execute_batch("PRAGMA journal_mode = MEMORY; UPDATE flux_workers SET beat = NULL")
}

/// What a copy is called while it is written: its name, the process, the moment, and this.
const ENDING: &str = ".part";

/// A copy that is being written, under another name beside its own. What is left of it is deleted when dropped.
struct Part {
    path: PathBuf,
    /// Locked as long as the process lives: by that another tells a copy that nobody writes any more.
    file: File,
}

impl Part {
    fn beside(to: &Path) -> io::Result<Self> {
        loop {
            let now = Timestamp::from(SystemTime::now()).as_micros();
            let mut path = OsString::from(to);
            path.push(format!(".{}-{now}{ENDING}", std::process::id()));
            let path = PathBuf::from(path);
            let file = File::options().write(true).create_new(true).open(&path)?;
            // Else another has taken it for one that is left over, before it was locked.
            if !cfg!(unix) || (file.try_lock().is_ok() && path.exists()) {
                return Ok(Self { path, file });
            }
        }
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.path);
    }
}

/// Deletes what processes that were killed have left of their copies in the folder of this one.
fn clear_away(to: &Path) {
    let Some(Ok(entries)) = to.parent().map(fs::read_dir) else {
        return;
    };
    let names = entries.flatten().map(|entry| entry.path());
    for path in names.filter(|path| cfg!(unix) && is_part(path)) {
        let is_left_over = File::open(&path).is_ok_and(|file| file.try_lock().is_ok());
        if is_left_over {
            let mut journal = OsString::from(&path);
            journal.push("-journal");
            let _ = fs::remove_file(journal);
            let _ = fs::remove_file(path);
        }
    }
}

fn is_part(path: &Path) -> bool {
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let name = path.file_name().and_then(|name| name.to_str());
    let name = name.and_then(|name| name.strip_suffix(ENDING));
    let stamp = name.and_then(|name| name.rsplit_once('.')?.1.split_once('-'));
    stamp.is_some_and(|(process, moment)| is_number(process) && is_number(moment))
}
