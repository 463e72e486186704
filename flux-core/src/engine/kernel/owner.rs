//! Who an engine is to its store: the owner of what it drives, registered at once or when it first has to own something.

use tokio::sync::OnceCell;

use crate::engine::kernel::Kernel;
use crate::id::WorkerId;
use crate::store::{StoreError, WorkerGuard};

/// The registration of an engine as an owner, once there is one.
#[derive(Debug, Default)]
pub(crate) struct Owner(OnceCell<WorkerGuard>);

impl Kernel {
    /// Who this engine is to the store; registers it if it is nobody yet.
    pub(crate) async fn owner(&self) -> Result<WorkerId, StoreError> {
        let join = || self.store.join();
        Ok(self.owner.0.get_or_try_init(join).await?.id())
    }

    /// Who this engine is to the store; `None` for one that has only looked at it.
    pub(crate) fn owner_if_any(&self) -> Option<WorkerId> {
        self.owner.0.get().map(WorkerGuard::id)
    }
}
