//! Which file is meant: every way to write a path leads to the same workers.

use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use flux_core::store::StoreError;

use super::error::Blame;
use super::inspect::{Errand, NONE_THERE};

/// The file and what lies beside it.
#[derive(Clone, Debug)]
pub(super) struct Location {
    /// The absolute path, links resolved.
    pub(super) file: PathBuf,
    /// The folder of the workers' lock files.
    pub(super) workers: PathBuf,
}

impl Location {
    /// Resolves `path`; folders on the way that do not exist are created for one who comes to use the file.
    pub(super) fn resolve(path: &Path, errand: Errand) -> Result<Self, StoreError> {
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
        let file = absolute(path)
            .map_err(|error| blame.io(OPEN, "its folder cannot be created or entered", error))?;
        Ok(Self::of(file))
    }

    /// Resolves `path` for what `action` says. Nothing is created; what does not exist is where it says.
    pub(super) fn of_existing(path: &Path, action: &str) -> Result<Self, StoreError> {
        let blame = Blame::new(path.display().to_string());
        if names_no_file(path) {
            return Err(blame.plain(action, "this names no file: give a path"));
        }
        let file = fs::canonicalize(path).or_else(|_| std::path::absolute(path));
        let file = file.map_err(|error| blame.io(action, "its path leads nowhere", error))?;
        Ok(Self::of(file))
    }

    fn of(file: PathBuf) -> Self {
        let workers = beside(&file, "-workers");
        Self { file, workers }
    }

    /// The write-ahead log.
    pub(super) fn wal(&self) -> PathBuf {
        beside(&self.file, "-wal")
    }
}

fn names_no_file(path: &Path) -> bool {
    path.as_os_str().is_empty() || path == Path::new(":memory:")
}

fn absolute(path: &Path) -> io::Result<PathBuf> {
    if path.exists() {
        return fs::canonicalize(path);
    }
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    fs::create_dir_all(folder)?;
    let name = path.file_name().ok_or(io::ErrorKind::InvalidInput)?;
    Ok(fs::canonicalize(folder)?.join(name))
}

fn beside(file: &Path, suffix: &str) -> PathBuf {
    let mut name = OsString::from(file);
    name.push(suffix);
    name.into()
}
