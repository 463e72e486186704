//! The SQLite store keeps every promise of the contract.

#![expect(clippy::unwrap_used, reason = "a test")]

use flux_core::store::contract::Fresh;
use flux_store::SqliteStore;

async fn fresh() -> Fresh {
    let folder = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(folder.path().join("flux.db"))
        .await
        .unwrap();
    Fresh::with(store, folder)
}

flux_core::store_contract!(fresh);
