//! Looking after a store as a whole: what is in it, whether it is sound, its tables, a copy of it.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use futures::future::BoxFuture;
use serde::Serialize;

use super::StoreError;
use crate::id::ExecutionId;
use crate::status::Status;

/// Looks after a store that need not be open, nor be of this program's version. What [`maintain`](crate::maintain)
/// gives.
///
/// Everything here may be done while programs use the store.
pub trait Maintenance: Send + Sync + fmt::Debug {
    /// Whether there is a store.
    fn exists(&self) -> bool;

    /// Says what the store is and what is in it. Nothing is created or changed.
    ///
    /// Of a store whose tables are newer than this program only sizes and versions are told.
    fn info(&self) -> BoxFuture<'_, Result<StoreInfo, StoreError>>;

    /// Looks for what must not be: damage, and rows that disagree. Reads all that there is, and changes nothing.
    /// What is found is a [`Problem`]; `Err` is a store that cannot be looked at.
    fn check(&self) -> BoxFuture<'_, Result<Vec<Problem>, StoreError>>;

    /// Makes the store if there is none, and brings its tables to this program's version, as opening it does. Older
    /// programs then refuse it.
    fn migrate(&self) -> BoxFuture<'_, Result<Migrated, StoreError>>;

    /// Writes a copy that is whole and consistent, of one moment, while others go on writing, and returns when it is
    /// on the disk. A file that exists is not written over; a copy that fails leaves nothing.
    fn backup<'a>(&'a self, to: &'a Path) -> BoxFuture<'a, Result<BackedUp, StoreError>>;
}

/// What a store is and what is in it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct StoreInfo {
    /// Where it is: of a file, its absolute path.
    pub location: String,
    /// What kind of store it is: `sqlite`.
    pub kind: &'static str,
    /// The version of its tables; `None`: it has none yet.
    pub schema: Option<u32>,
    /// The version of the tables that this program knows.
    pub schema_known: u32,
    /// The library that reads it, and its version.
    pub library: String,
    /// How large it is, without its log.
    pub size_bytes: u64,
    /// How large its write-ahead log is.
    pub wal_bytes: u64,
    /// How large a page is.
    pub page_bytes: u64,
    /// How many pages it has.
    pub pages: u64,
    /// How many of them hold nothing: they are filled before it grows.
    pub free_pages: u64,
    /// What is in its tables; `None` where it has none, or newer ones than this program knows.
    pub contents: Option<StoreContents>,
}

/// What is in the tables of a store, counted at one moment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct StoreContents {
    /// How many executions have each status; every status is there.
    pub executions: BTreeMap<Status, u64>,
    /// How many messages wait for executions that have not finished.
    pub messages: u64,
    /// How many queues have limits or executions that have not finished.
    pub queues: u64,
    /// How many schedules there are.
    pub schedules: u64,
    /// How many workers are registered and alive.
    pub workers_alive: u64,
    /// How many workers are registered and dead; the next that registers clears them away.
    pub workers_dead: u64,
}

/// Something that must not be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// What sort it is, as a word that stays the same: `history_gap`.
    pub what: &'static str,
    /// The execution it is about, where it is about one that is known.
    pub execution: Option<ExecutionId>,
    /// What is wrong, for people.
    pub message: String,
}

/// What a migration did.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Migrated {
    /// The version found before; `None`: there were no tables, or no store.
    pub from: Option<u32>,
    /// The version the tables have now.
    pub to: u32,
}

/// A copy that was written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct BackedUp {
    /// Where it is, as an absolute path.
    pub path: PathBuf,
    /// How large it is.
    pub bytes: u64,
}
