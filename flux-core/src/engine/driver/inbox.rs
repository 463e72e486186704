//! Reading the inbox of an execution.

use std::sync::Arc;

use super::core::Core;
use crate::engine::kernel::Kernel;
use crate::store::StoreError;

/// Reads the inbox again if there may be something new.
pub(super) async fn refresh_inbox(kernel: &Arc<Kernel>, core: &mut Core) -> Result<(), StoreError> {
    if !core.inbox.take_news() {
        return Ok(());
    }
    let Some((key, _)) = core.row.epoch() else {
        return Ok(());
    };
    let after = core.inbox.last();
    for message in kernel.store.inbox_after(key, after).await? {
        core.receive(message);
    }
    Ok(())
}
