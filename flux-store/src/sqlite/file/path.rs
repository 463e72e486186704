//! Which file is meant: every way to write a path leads to the same workers.

use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use flux_core::store::StoreError;

use super::inspect::{Errand, NONE_THERE};
use crate::sqlite::error::Blame;

/// The file and what lies beside it.
#[derive(Clone, Debug)]
pub(crate) struct Location {
    /// The absolute path, links resolved.
    pub(crate) file: PathBuf,
    /// The folder of the workers' lock files.
    pub(crate) workers: PathBuf,
}

impl Location {
    /// Resolves `path`; folders on the way that do not exist are created for one who comes to use the file.
    pub(crate) fn resolve(path: &Path, errand: Errand) -> Result<Self, StoreError> {
        const OPEN: &str = "open the file";
        let blame = Blame::new(path.display().to_string());
        if names_no_file(path) {
            let reason =
                "this names no file: give a path, or use `.in_memory()` for a store without one";
            return Err(blame.plain(OPEN, reason));
        }
        if errand == Errand::Look && !path.exists() {
            return Err(blame.plain(OPEN, NONE_THERE));
        }
        let file = follow(path).and_then(|path| {
            if let Some(folder) = path.parent() {
                fs::create_dir_all(folder)?;
            }
            real(&path)
        });
        let file =
            file.map_err(|error| blame.io(OPEN, "its folder cannot be created or entered", error))?;
        Ok(Self::of(file))
    }

    /// Resolves `path` for what `action` says. Nothing is created; what does not exist is where it says.
    pub(crate) fn of_existing(path: &Path, action: &str) -> Result<Self, StoreError> {
        let blame = Blame::new(path.display().to_string());
        if names_no_file(path) {
            return Err(blame.plain(action, "this names no file: give a path"));
        }
        let file = follow(path).and_then(|path| real(&path).or(Ok(path)));
        let file = file.map_err(|error| blame.io(action, "its path leads nowhere", error))?;
        Ok(Self::of(file))
    }

    fn of(file: PathBuf) -> Self {
        let workers = beside(&file, "-workers");
        Self { file, workers }
    }

    /// The write-ahead log.
    pub(crate) fn wal(&self) -> PathBuf {
        beside(&self.file, "-wal")
    }
}

fn names_no_file(path: &Path) -> bool {
    path.as_os_str().is_empty() || path == Path::new(":memory:")
}

/// The most links that lead from one to the next, as on Linux.
const MOST_LINKS: usize = 40;

/// Follows the links that the last part of `path` is, also to a file that does not exist yet: SQLite would create it at
/// the end of the links, and the lock files have to lie beside it.
fn follow(path: &Path) -> io::Result<PathBuf> {
    let mut path = std::path::absolute(path)?;
    for _ in 0..MOST_LINKS {
        let Ok(target) = fs::read_link(&path) else {
            return Ok(path);
        };
        path = match path.parent() {
            Some(folder) => folder.join(target),
            None => target,
        };
    }
    Err(io::Error::other("its links lead in a circle"))
}

/// The path without links of a file whose folder exists.
fn real(path: &Path) -> io::Result<PathBuf> {
    if let Ok(file) = fs::canonicalize(path) {
        return Ok(file);
    }
    let missing = || io::Error::from(io::ErrorKind::InvalidInput);
    let folder = path.parent().ok_or_else(missing)?;
    let name = path.file_name().ok_or_else(missing)?;
    Ok(fs::canonicalize(folder)?.join(name))
}

fn beside(file: &Path, suffix: &str) -> PathBuf {
    let mut name = OsString::from(file);
    name.push(suffix);
    name.into()
}
