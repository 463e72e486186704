//! Which file is meant: every way to write a path leads to the same workers.

use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use flux_core::store::StoreError;

use super::error::Blame;

/// The file and what lies beside it.
#[derive(Clone, Debug)]
pub(super) struct Location {
    /// The absolute path, links resolved.
    pub(super) file: PathBuf,
    /// The folder of the workers' lock files.
    pub(super) workers: PathBuf,
}

impl Location {
    /// Resolves `path`; folders on the way that do not exist are created.
    pub(super) fn resolve(path: &Path) -> Result<Self, StoreError> {
        let blame = Blame::new(path.display().to_string());
        if path.as_os_str().is_empty() || path == Path::new(":memory:") {
            let reason =
                "this names no file: give a path, or use `.in_memory()` for a store without one";
            return Err(blame.plain("open the file", reason));
        }
        let file = absolute(path).map_err(|error| {
            blame.io(
                "open the file",
                "its folder cannot be created or entered",
                error,
            )
        })?;
        let workers = beside(&file, "-workers");
        Ok(Self { file, workers })
    }

    /// The write-ahead log.
    pub(super) fn wal(&self) -> PathBuf {
        beside(&self.file, "-wal")
    }
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
