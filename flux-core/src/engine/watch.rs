//! Notices what other processes send to the executions that this one drives.
//!
//! One task per engine, alive while a driver waits, asks the store once per change, whatever the number of
//! executions. It lives on the runtime of the driver that first needed it; when that runtime ends, the next
//! driver that waits starts it anew.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};

use super::Inner;
use crate::id::ExecutionId;
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
    let mut told: BTreeMap<ExecutionId, MessageId> = BTreeMap::new();
    while let Some(engine) = watching.0.upgrade() {
        let store = Arc::clone(&engine.store);
        if engine.active.is_empty() {
            return;
        }
        let changed = store.changed();
        match store.inboxes().await {
            Ok(inboxes) => tell(&engine, inboxes, &mut told),
            Err(error) => tracing::warn!(%error, "could not look for messages of other processes"),
        }
        drop(engine);
        changed.await;
    }
}

fn tell(
    engine: &Inner,
    inboxes: Vec<(ExecutionId, MessageId)>,
    told: &mut BTreeMap<ExecutionId, MessageId>,
) {
    let mut present = BTreeMap::new();
    for (id, newest) in inboxes {
        if told.get(&id) != Some(&newest) {
            engine.active.notify_inbox(&id);
        }
        present.insert(id, newest);
    }
    *told = present;
}
