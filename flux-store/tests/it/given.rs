//! Shorthands.

use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use flux_core::store::Store;
use flux_store::SqliteStore;
use tempfile::TempDir;
use tokio::runtime::{Builder, Runtime};

/// A folder on a disk, not on a tmpfs.
pub(crate) fn folder() -> TempDir {
    tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap()
}

pub(crate) fn open(path: impl AsRef<Path>) -> Arc<dyn Store> {
    Arc::new(SqliteStore::open_blocking(path).unwrap())
}

pub(crate) fn runtime() -> Runtime {
    Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap()
}

/// A file system of its own, as small as wanted; unmounted when dropped.
pub(crate) struct Tmpfs(TempDir);

impl Tmpfs {
    /// `None`, with a line that says so, where mounting is not allowed.
    pub(crate) fn mount(test: &str, size: &str) -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let options = format!("size={size}");
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &options, "tmpfs"])
            .arg(folder.path())
            .output()
            .is_ok_and(|output| output.status.success());
        if !mounted {
            println!("skipped {test}: a tmpfs cannot be mounted here");
        }
        mounted.then_some(Self(folder))
    }

    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }

    pub(crate) fn remount(&self, options: &str) {
        let mut mount = Command::new("mount");
        mount
            .args(["-o", &format!("remount,{options}")])
            .arg(self.path());
        assert!(mount.status().unwrap().success());
    }
}

impl Drop for Tmpfs {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(self.path()).status();
    }
}
