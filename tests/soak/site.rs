//! Where a round happens: a folder with the store and all that is beside it.

use std::path::{Path, PathBuf};
use std::process::Command;

use flux::sqlite::rusqlite::Connection;

use crate::feature::Feature;

/// The paths of a round.
#[derive(Clone, Debug)]
pub struct Site {
    /// What the store has for itself, on a disk that can be full.
    disk: PathBuf,
    /// What is beside it.
    desk: PathBuf,
}

impl Site {
    pub fn at(folder: &Path) -> Self {
        Self {
            disk: folder.join("disk"),
            desk: folder.join("desk"),
        }
    }

    pub fn folder(&self) -> &Path {
        self.desk.parent().unwrap()
    }

    pub fn store(&self) -> PathBuf {
        self.disk.join("flux.db")
    }

    pub fn ballast(&self) -> PathBuf {
        self.disk.join("ballast")
    }

    pub fn ledger(&self) -> PathBuf {
        self.desk.join("ledger")
    }

    pub fn clock(&self) -> PathBuf {
        self.desk.join("clock")
    }

    /// The file for what one more process says.
    pub fn new_log(&self, role: &str, version: u32) -> PathBuf {
        let nth = self.logs().len();
        self.desk.join(format!("{nth:03}-{role}-{version}.log"))
    }

    /// The files with what the processes said, in the order in which they were started.
    pub fn logs(&self) -> Vec<PathBuf> {
        let files = std::fs::read_dir(&self.desk).unwrap();
        let mut files: Vec<_> = files.map(|file| file.unwrap().path()).collect();
        files.retain(|file| file.extension().is_some_and(|extension| extension == "log"));
        files.sort();
        files
    }
}

/// A site that is gone when it is dropped, unless it is kept to be looked at.
pub struct Ground {
    pub site: Site,
    folder: tempfile::TempDir,
    /// The disk is a file system of its own.
    pub is_small: bool,
}

impl Ground {
    pub fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let site = Site::at(folder.path());
        std::fs::create_dir(&site.disk).unwrap();
        std::fs::create_dir(&site.desk).unwrap();
        let mut mount = Command::new("mount");
        mount
            .args(["-t", "tmpfs", "-o", "size=256m", "tmpfs"])
            .arg(&site.disk);
        let is_small =
            Feature::Full.is_on() && mount.output().is_ok_and(|mounted| mounted.status.success());
        Self {
            site,
            folder,
            is_small,
        }
    }

    /// Makes the table that transactions write to.
    pub fn lay_out(&self) {
        let connection = Connection::open(self.site.store()).unwrap();
        connection
            .execute_batch("CREATE TABLE booked (id TEXT NOT NULL, place TEXT NOT NULL) STRICT")
            .unwrap();
    }

    /// Keeps everything, and says where.
    pub fn keep(&mut self) -> PathBuf {
        if self.is_small {
            // The mount does not outlive the machine; a copy does.
            let kept = self.folder.path().join("kept");
            let _ = Command::new("cp")
                .arg("-a")
                .arg(&self.site.disk)
                .arg(kept)
                .status();
        }
        self.folder.disable_cleanup(true);
        self.folder.path().to_owned()
    }
}

impl Drop for Ground {
    fn drop(&mut self) {
        if self.is_small {
            let _ = Command::new("umount")
                .arg("-l")
                .arg(&self.site.disk)
                .status();
        }
    }
}
