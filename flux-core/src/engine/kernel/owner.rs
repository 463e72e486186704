//! Who an engine is to its store: the owner of what it drives, registered at once or when it first has to own something.

use tokio::sync::OnceCell;

use crate::id::WorkerId;
use crate::store::{Store, StoreError, WorkerGuard};

/// The registration of an engine as an owner, once there is one.
#[derive(Debug, Default)]
pub(crate) struct Owner(OnceCell<WorkerGuard>);

impl Owner {
    /// Registers the engine if it is nobody yet.
    pub(crate) async fn join(&self, store: &dyn Store) -> Result<WorkerId, StoreError> {
        Ok(self.0.get_or_try_init(|| store.join()).await?.id())
    }

    pub(crate) fn id(&self) -> Option<WorkerId> {
        self.0.get().map(WorkerGuard::id)
    }
}
