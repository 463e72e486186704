//! Notices what other processes send to the executions that this one drives.
//!
//! One task per engine, alive while a driver waits, asks the store once per change, whatever the number of
//! executions. It lives on the runtime of the driver that first needed it; when that runtime ends, the next
//! driver that waits starts it anew.

use std::sync::{Arc, Weak};

use crate::engine::kernel::{AFTER_FAULT, Kernel};
use crate::store::MessageId;

/// Starts watching, unless somebody does.
pub(crate) fn ensure(kernel: &Arc<Kernel>) {
    if !kernel.drivers.begin_watch() {
        return;
    }
    let watching = Watching(Arc::downgrade(kernel));
    tokio::spawn(watch(watching));
}

/// Says that nobody watches any more when it is dropped.
struct Watching(Weak<Kernel>);

impl Drop for Watching {
    fn drop(&mut self) {
        if let Some(kernel) = self.0.upgrade() {
            kernel.drivers.end_watch();
        }
    }
}

async fn watch(watching: Watching) {
    let mut told = None;
    while let Some(kernel) = watching.0.upgrade() {
        let store = Arc::clone(&kernel.store);
        if kernel.drivers.is_empty() {
            return;
        }
        let changed = store.changed();
        let fault_is_over = kernel.time.pass(AFTER_FAULT);
        match store.posted(told).await {
            Ok(posted) => {
                if told.is_none() {
                    // What came before the first look is in the inboxes, and may be news to somebody.
                    kernel.drivers.notify_all();
                }
                told = posted
                    .last()
                    .map(|(message, _)| *message)
                    .or(told)
                    .or(Some(MessageId(0)));
                for (_, id) in posted {
                    kernel.drivers.notify_inbox(&id);
                }
                drop(kernel);
                changed.await;
            }
            Err(error) => {
                tracing::warn!(%error, "could not read the messages of other processes; retrying");
                drop(kernel);
                fault_is_over.await;
            }
        }
    }
}
