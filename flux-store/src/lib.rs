//! Stores for Flux: durable homes for executions and their histories.
//!
//! [`SqliteStore`] keeps everything in one SQLite file. It is what Flux uses unless told otherwise.

pub mod sqlite;
mod sync;

pub use rusqlite;
pub use sqlite::{Durability, SqliteOptions, SqliteStore, transaction};
