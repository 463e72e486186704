//! What may befall a store, and the process on it.

use flux::store::StoreError;

/// At which write a store crashes, from 1, and whether the write still happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Crash {
    pub(crate) at: u32,
    pub(crate) after: bool,
}

/// How a store may fail a commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// It was not written, and the store says so.
    Failed,
    /// It was written, and the store does not know.
    UnknownWritten,
    /// It was not written, and the store does not know.
    UnknownLost,
    /// It was written, the store does not know, and cannot be asked right after.
    UnknownBlind,
}

/// The error of a store that was told to fail.
pub(crate) fn broken(action: &str) -> StoreError {
    StoreError {
        store: "brittle".to_owned(),
        action: action.to_owned(),
        reason: "it was told to fail".to_owned(),
        source: None,
    }
}

/// Kills this process as `kill -9` does.
pub(crate) fn die() -> ! {
    let me = std::process::id().to_string();
    let _ = std::process::Command::new("kill")
        .args(["-9", &me])
        .status();
    loop {
        std::thread::park();
    }
}
