//! Tells the engine that locations like `orders.db` and `sqlite:orders.db` are ours.

use std::sync::Arc;

use flux_core::store::{Store, StoreError};
use flux_core::{Backend, StoreLocation};

use super::maintenance::SqliteMaintenance;
use crate::sqlite::SqliteOptions;

inventory::submit! {
    Backend {
        scheme: "sqlite",
        takes_paths: true,
        open: |location| Box::pin(open(location)),
        maintain: |place| Box::new(SqliteMaintenance::new(place)),
    }
}

async fn open(location: StoreLocation) -> Result<Arc<dyn Store>, StoreError> {
    let mut options = SqliteOptions::new(location.place).durability(location.durability);
    if let Some(span) = location.stall_after {
        options = options.stall_after(span);
    }
    if location.is_onlooker {
        options = options.onlooker();
    }
    Ok(Arc::new(options.open().await?))
}
