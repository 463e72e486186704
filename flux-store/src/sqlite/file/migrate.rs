//! Brings the tables to the present version: numbered files, each applied once, in one transaction.

use flux_core::store::Migrated;
use rusqlite::{Connection, TransactionBehavior};

use super::inspect::{Schema, damaged_schema, schema};
use crate::sqlite::error::{is_busy, ours, text_of};

/// The version this program knows.
pub(crate) const KNOWN: u32 = 5;

const META: &str =
    "CREATE TABLE flux_meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID";

/// What leads from each version to the next.
const STEPS: [&str; 5] = [
    include_str!("../../../migrations/sqlite/0001_init.sql"),
    include_str!("../../../migrations/sqlite/0002_living.sql"),
    include_str!("../../../migrations/sqlite/0003_catalog.sql"),
    include_str!("../../../migrations/sqlite/0004_obstacle.sql"),
    include_str!("../../../migrations/sqlite/0005_clocks.sql"),
];

/// Applies what is missing, and tells what it did if it did anything. Of several processes that open a new file, the first
/// creates the tables; the others wait for its transaction and find nothing left to do.
pub(crate) fn migrate(connection: &mut Connection) -> rusqlite::Result<Option<Migrated>> {
    if schema(connection)? == Schema::Version(KNOWN) {
        return Ok(None);
    }
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let from = match schema(&transaction)? {
        // Another process was faster, and may be of another version; that is refused later.
        Schema::Version(found) if found >= KNOWN => return Ok(None),
        Schema::Version(found) => Some(found),
        Schema::Damaged(found) => return Err(ours(damaged_schema(&found))),
        Schema::None => None,
    };
    if from.is_none() {
        transaction.execute_batch(META)?;
    }
    let steps = (1..).zip(STEPS);
    for (version, step) in steps.skip_while(|(version, _)| Some(*version) <= from) {
        transaction
            .execute_batch(step)
            .map_err(|error| step_failed(version, error))?;
    }
    {
        let mut set =
            transaction.prepare("INSERT OR REPLACE INTO flux_meta (key, value) VALUES (?1, ?2)")?;
        set.execute(("schema", KNOWN.to_string()))?;
        set.execute(("written_by", concat!("flux ", env!("CARGO_PKG_VERSION"))))?;
    }
    transaction.commit()?;
    Ok(Some(Migrated { from, to: KNOWN }))
}

/// What others are in the way of is tried again, so it stays as it is; of the rest only what SQLite says is told.
fn step_failed(version: u32, error: rusqlite::Error) -> rusqlite::Error {
    if is_busy(&error) {
        return error;
    }
    let said = text_of(&error);
    ours(format!(
        "its tables could not be brought to version {version}, and were left as they are: {said}; if the number in \
         `flux_meta` (`schema`) is not the version of its tables, restore the file from a backup"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_steps_lead_to_the_version() {
        assert_eq!(u32::try_from(STEPS.len()).unwrap(), KNOWN);
    }
}
