//! Stopping gracefully: drivers launch no more bodies, bodies that run may end, and executions are given up.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures::future::{Either, select};

use crate::engine::kernel::Kernel;
use crate::engine::kernel::drivers::Stopping;
use crate::engine::ownership;
use crate::id::ExecutionId;

/// How long the store may take to hear of what is given up.
const FAREWELL: Duration = Duration::from_secs(5);

/// Stops drivers: gracefully until `patience` ends, then at once. Returns when the store knows what is given up.
pub(crate) async fn stop(
    kernel: &Arc<Kernel>,
    which: &Stopping,
    patience: impl Future<Output = ()>,
) {
    let mut patience = pin!(patience);
    loop {
        let changed = kernel.drivers.changed();
        let remaining = kernel.drivers.ask_to_retire(which);
        if remaining.is_empty() {
            break;
        }
        if let Either::Right(_) = select(pin!(changed), patience.as_mut()).await {
            drop_drivers(kernel, remaining).await;
            break;
        }
    }
    ownership::settled(kernel, FAREWELL).await;
}

/// Drops drivers where they stand, as in a crash, and waits until they are gone.
async fn drop_drivers(kernel: &Kernel, ids: Vec<ExecutionId>) {
    let dropped: Vec<_> = ids.iter().filter_map(|id| kernel.drivers.get(id)).collect();
    for active in &dropped {
        active.abort();
    }
    for active in dropped {
        active.gone().await;
    }
}
