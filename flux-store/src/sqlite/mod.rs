//! The SQLite store: one file, many processes, one fsync for everything that waits together.
//!
//! ```text
//! commit, claim, post ──> writer ──> group ──> flux_* tables     one connection, one transaction
//! reads ────────────────> reader ────────────> flux_* tables     a few read-only connections
//! changed ──────────────> watch ───> writer                      asks every 50 ms while someone waits
//! join, claim, orphans ─> worker ───────────── <file>-workers/   a locked file per owner
//! ```

mod backend;
mod call;
mod commit;
mod connection;
mod error;
mod execution;
mod group;
mod history;
mod inbox;
mod inspect;
mod migrate;
mod open;
mod path;
mod place;
mod published;
mod reader;
mod row;
mod store;
mod transaction;
mod watch;
mod worker;
mod writer;

pub use call::transaction;
pub use flux_core::store::Durability;
pub use open::SqliteOptions;
pub use store::SqliteStore;
pub use transaction::body;
