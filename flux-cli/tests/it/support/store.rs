//! A folder with a store in it, of each test its own.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use tempfile::TempDir;

use super::program::{Call, Ran};
use super::seed;

/// A folder in which the programs are called.
pub(crate) struct Folder(TempDir);

impl Folder {
    /// One without a store.
    pub(crate) fn empty() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    /// One with a copy of the seeded store, `flux.db`.
    pub(crate) fn seeded() -> Self {
        let folder = Self::empty();
        std::fs::copy(seeded(), folder.path("flux.db")).unwrap();
        folder
    }

    /// A path in it.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Writes a file into it.
    pub(crate) fn write(&self, name: &str, text: &str) {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    /// What is in it, by name.
    pub(crate) fn names(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.0.path()).unwrap();
        let mut names: Vec<_> = entries
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    /// A call in it, written as in a shell: `flux list --status failed`.
    pub(crate) fn call(&self, line: &str) -> Call {
        Call::new(self.0.path(), line)
    }

    /// Makes such a call.
    pub(crate) fn run(&self, line: &str) -> Ran {
        self.call(line).run()
    }

    /// Makes several, one after the other, and writes down what came of each.
    pub(crate) fn transcript(&self, lines: &[&str]) -> String {
        let ran = lines.iter().map(|line| self.run(line).transcript());
        ran.collect::<Vec<_>>().join("\n")
    }
}

/// The seeded store, written once for all tests.
fn seeded() -> &'static Path {
    static SEEDED: OnceLock<(TempDir, PathBuf)> = OnceLock::new();
    let (_, file) = SEEDED.get_or_init(|| {
        let folder = tempfile::tempdir().unwrap();
        let copy = folder.path().join("seeded.db");
        let thread = std::thread::spawn({
            let (file, copy) = (folder.path().join("flux.db"), copy.clone());
            move || write(&file, &copy)
        });
        thread.join().unwrap();
        (folder, copy)
    });
    file
}

/// On a runtime of its own, so that whatever is left of the engines ends with it.
fn write(file: &Path, copy: &Path) {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = runtime.enable_all().build().unwrap();
    runtime.block_on(seed::write(file));
    runtime.block_on(async {
        let store = flux_core::maintain(file.to_str()).unwrap();
        store.backup(copy).await.unwrap();
    });
    seed::smooth(copy);
}
