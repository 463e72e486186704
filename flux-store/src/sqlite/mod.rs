//! The SQLite store: one file, many processes, one fsync for everything that waits together.
//!
//! ```text
//! commit, claim, post ──> writer ──> group ──> flux_* tables     one connection, one transaction
//! reads ────────────────> reader ────────────> flux_* tables     a few read-only connections
//! claim_ready ──────────> reader: peek ──> writer: give          work, takeover, ready, pending; lane by lane
//! changed ──────────────> watch ─┬─> writer                      asks every 50 ms while someone waits
//!                                └─> death ──> life              looks every 400 ms
//! maintain ─────────────────────────────> the file     apart from the store, on threads of its own
//! join, claim, orphans ─> life ─┬ worker ───── <file>-workers/   a locked file per owner
//!                               └ beat ──────> flux_workers      a number that goes up while it runs
//! ```

mod backend;
mod barrier;
mod beat;
mod call;
mod catalog;
mod commit;
mod connection;
mod death;
mod error;
mod execution;
mod find;
mod gate;
mod group;
mod history;
mod inbox;
mod inner;
mod inspect;
mod lane;
mod life;
mod line;
mod list;
mod maintenance;
mod migrate;
mod open;
mod orphan;
mod path;
mod pending;
mod place;
mod presence;
mod published;
mod queue;
mod reader;
mod ready;
mod row;
mod schedule;
mod set_back;
mod store;
mod takeover;
mod thread;
mod transaction;
mod turn;
mod watch;
mod work;
mod worker;
mod write;
mod writer;

pub use call::transaction;
pub use flux_core::store::Durability;
pub use open::SqliteOptions;
pub use store::SqliteStore;
pub use transaction::body;
