//! Work that may take long, on a thread of its own: it works on every runtime, and without one.

use std::thread;

use flux_core::store::StoreError;
use tokio::sync::oneshot;

use crate::sqlite::error::Blame;

/// Runs `work` on a thread of its own. Where nobody waits for it any more it is finished all the same.
pub(crate) async fn run<T: Send + 'static>(
    action: &'static str,
    blame: Blame,
    work: impl FnOnce() -> Result<T, StoreError> + Send + 'static,
) -> Result<T, StoreError> {
    let (answer, done) = oneshot::channel();
    let started = thread::Builder::new()
        .name("flux-store".to_owned())
        .spawn(move || {
            // Nobody may be waiting any more: then what came of it is dropped here.
            let _ = answer.send(work());
        });
    if let Err(error) = started {
        return Err(blame.io(action, "no thread could be started", error));
    }
    let died = |_| Err(blame.plain(action, "the thread that was to do it died"));
    done.await.unwrap_or_else(died)
}
