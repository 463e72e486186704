//! Notices what other processes send to the executions that this one drives.
//!
//! One task per engine, alive while a driver waits, asks the store once per change, whatever the number of
//! executions. It lives on the runtime of the driver that first needed it; when that runtime ends, the next
//! driver that waits starts it anew.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};

use crate::engine::{AFTER_FAULT, Inner};
use crate::store::MessageId;

/// Starts watching, unless somebody does.
pub(crate) fn ensure(engine: &Arc<Inner>) {
    if engine.is_watching.swap(true, Ordering::AcqRel) {
        return;
    }
    let watching = Watching(Arc::downgrade(engine));
    tokio::spawn(watch(watching));
}

/// Says that nobody watches any more when it is dropped.
struct Watching(Weak<Inner>);

impl Drop for Watching {
    fn drop(&mut self) {
        if let Some(engine) = self.0.upgrade() {
            engine.is_watching.store(false, Ordering::Release);
        }
    }
}

async fn watch(watching: Watching) {
    let mut told = None;
    while let Some(engine) = watching.0.upgrade() {
        let store = Arc::clone(&engine.store);
        if engine.active.is_empty() {
            return;
        }
        let changed = store.changed();
        let fault_is_over = engine.time.pass(AFTER_FAULT);
        match store.posted(told).await {
            Ok(posted) => {
                if told.is_none() {
                    // What came before the first look is in the inboxes, and may be news to somebody.
                    engine.active.notify_all();
                }
                told = posted
                    .last()
                    .map(|(message, _)| *message)
                    .or(told)
                    .or(Some(MessageId(0)));
                for (_, id) in posted {
                    engine.active.notify_inbox(&id);
                }
                drop(engine);
                changed.await;
            }
            Err(error) => {
                tracing::warn!(%error, "could not read the messages of other processes; retrying");
                drop(engine);
                fault_is_over.await;
            }
        }
    }
}
