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
//!
//! | folder | holds |
//! |---|---|
//! | `io/` | connections, and the threads that use them: one that writes, in groups, and several that read |
//! | `table/` | one module for each table, and what tables share: a row, its columns, a list of rows |
//! | `claim/` | what may start or be taken up, decided inside the claiming transaction |
//! | `alive/` | which processes are alive, and what they tell each other |
//! | `file/` | the file itself: its name, its schema, its maintenance |
//!
//! A *lane* is what the same workers can take: the executions of one queue, workflow and version, in their order. A *queue*
//! limits how many run; a *gate* limits how many with the same key run; a *turn* is the place of one execution among those
//! that wait.

mod alive;
mod claim;
mod commit;
mod error;
mod file;
mod inner;
mod io;
mod open;
mod store;
mod table;

pub use flux_core::store::Durability;
pub use io::call::transaction;
pub use io::transaction::body;
pub use open::SqliteOptions;
pub use store::SqliteStore;
