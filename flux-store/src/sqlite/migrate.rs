//! Brings the tables to the present version: numbered files, each applied once, in one transaction.

use rusqlite::{Connection, TransactionBehavior};

use super::inspect::schema_version;

/// The version this program knows.
pub(super) const KNOWN: u32 = 5;

/// The same, as it is stored.
pub(super) const VERSION: i64 = KNOWN as i64;

const META: &str =
    "CREATE TABLE flux_meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID";

/// What leads from each version to the next.
const STEPS: [&str; 5] = [
    include_str!("../../migrations/sqlite/0001_init.sql"),
    include_str!("../../migrations/sqlite/0002_living.sql"),
    include_str!("../../migrations/sqlite/0003_catalog.sql"),
    include_str!("../../migrations/sqlite/0004_obstacle.sql"),
    include_str!("../../migrations/sqlite/0005_clocks.sql"),
];

/// Applies what is missing. Of several processes that open a new file, the first creates the
/// tables; the others wait for its transaction and find nothing left to do.
pub(super) fn migrate(connection: &mut Connection) -> rusqlite::Result<()> {
    if schema_version(connection)? == Some(VERSION) {
        return Ok(());
    }
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let found = schema_version(&transaction)?;
    if found.is_none() {
        transaction.execute_batch(META)?;
    }
    let done = usize::try_from(found.unwrap_or(0)).unwrap_or(0);
    for step in STEPS.iter().skip(done) {
        transaction.execute_batch(step)?;
    }
    if found.unwrap_or(0) < VERSION {
        let mut set =
            transaction.prepare("INSERT OR REPLACE INTO flux_meta (key, value) VALUES (?1, ?2)")?;
        set.execute(("schema", VERSION.to_string()))?;
        set.execute(("written_by", concat!("flux ", env!("CARGO_PKG_VERSION"))))?;
    }
    transaction.commit()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_steps_lead_to_the_version() {
        assert_eq!(i64::try_from(STEPS.len()).unwrap(), VERSION);
    }
}
