//! Looking after a file as a whole: info, check, migrate, backup. The file need not be open, nor of this version.

mod backup;
mod check;
mod info;
mod source;

use std::path::{Path, PathBuf};

use flux_core::store::{BackedUp, Maintenance, Migrated, Problem, StoreError, StoreInfo};
use futures::future::{BoxFuture, FutureExt as _};

use crate::sqlite::SqliteOptions;
use crate::sqlite::error::Blame;
use crate::sqlite::io::thread;

/// Looks after one file.
#[derive(Debug)]
pub(crate) struct SqliteMaintenance {
    path: PathBuf,
}

impl SqliteMaintenance {
    pub(crate) fn new(path: impl AsRef<Path>) -> Self {
        Self {
            path: path.as_ref().to_owned(),
        }
    }

    /// Runs `work` on the path, on a thread of its own.
    async fn run<T: Send + 'static>(
        &self,
        action: &'static str,
        work: impl FnOnce(&Path) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let path = self.path.clone();
        let blame = Blame::new(path.display().to_string());
        thread::run(action, blame, move || work(&path)).await
    }
}

impl Maintenance for SqliteMaintenance {
    fn exists(&self) -> bool {
        self.path.exists()
    }

    fn info(&self) -> BoxFuture<'_, Result<StoreInfo, StoreError>> {
        self.run(info::ACTION, info::info).boxed()
    }

    fn check(&self) -> BoxFuture<'_, Result<Vec<Problem>, StoreError>> {
        self.run(check::ACTION, check::check).boxed()
    }

    fn migrate(&self) -> BoxFuture<'_, Result<Migrated, StoreError>> {
        self.run("bring its tables up to date", bring_up_to_date)
            .boxed()
    }

    fn backup<'a>(&'a self, to: &'a Path) -> BoxFuture<'a, Result<BackedUp, StoreError>> {
        let to = to.to_owned();
        self.run(backup::ACTION, move |path| backup::backup(path, &to))
            .boxed()
    }
}

/// Opening does it all.
fn bring_up_to_date(path: &Path) -> Result<Migrated, StoreError> {
    let (store, migrated) = SqliteOptions::new(path).open_and_tell()?;
    drop(store);
    Ok(migrated)
}
