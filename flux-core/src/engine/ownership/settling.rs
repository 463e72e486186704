//! Tells the store what this engine has dropped, until it has heard it.

use std::sync::{Arc, Weak};
use std::time::Duration;

use super::audit::{AUDIT_SOON, Audit, AuditReason};
use crate::engine::kernel::Kernel;
use crate::engine::kernel::ledger::SettlingStep;
use crate::id::{Epoch, ExecutionKey};
use crate::store::StoreError;

/// The first wait after a release that failed; it doubles.
const FIRST_WAIT: Duration = Duration::from_millis(20);
const LONGEST_WAIT: Duration = Duration::from_secs(1);

/// Sees to it that strays are released, on the runtime of the caller. One that ended took its task along.
pub(crate) fn ensure_settling(kernel: &Arc<Kernel>) {
    let Ok(runtime) = tokio::runtime::Handle::try_current() else {
        return;
    };
    if !kernel.ledger.begin_settling() {
        return;
    }
    let settling = Settling {
        kernel: Arc::downgrade(kernel),
        is_done: false,
    };
    drop(runtime.spawn(settle(settling)));
}

/// A store call failed, and may have made this engine the owner of something: an audit tells.
pub(super) fn suspect(kernel: &Arc<Kernel>) {
    kernel.ledger.suspect();
    ensure_settling(kernel);
}

/// The settling task's hold on its engine. Dropped before the work is done, as with its runtime, it lets another task
/// take over.
struct Settling {
    kernel: Weak<Kernel>,
    is_done: bool,
}

impl Drop for Settling {
    fn drop(&mut self) {
        if let Some(kernel) = self.kernel.upgrade().filter(|_| !self.is_done) {
            kernel.ledger.stop_settling();
        }
    }
}

/// Releases strays until there are none. An engine that is gone owns nothing: its registration went with it.
async fn settle(mut settling: Settling) {
    let mut wait = FIRST_WAIT;
    let mut audit = Audit::new(AuditReason::Suspicion);
    while let Some(kernel) = settling.kernel.upgrade() {
        let (outcome, next_wait) = match kernel.ledger.next_step() {
            SettlingStep::Done => {
                settling.is_done = true;
                return;
            }
            SettlingStep::Release(key, epoch) => (release(&kernel, key, epoch).await, wait),
            SettlingStep::Audit => (look(&kernel, &mut audit).await, AUDIT_SOON),
        };
        drop(kernel);
        match outcome {
            Ok(Rested::No) => wait = FIRST_WAIT,
            Ok(Rested::Yes) => tokio::time::sleep(next_wait).await,
            Err(error) => {
                tracing::debug!(%error, "executions are still to be released");
                tokio::time::sleep(wait).await;
                wait = (wait * 2).min(LONGEST_WAIT);
            }
        }
    }
}

/// Whether a step is to be followed by a wait.
enum Rested {
    No,
    Yes,
}

async fn release(
    kernel: &Arc<Kernel>,
    key: ExecutionKey,
    epoch: Epoch,
) -> Result<Rested, StoreError> {
    let now = kernel.clock.now();
    kernel.release(key, epoch, Some(now)).await?;
    kernel.ledger.released(key, epoch);
    Ok(Rested::No)
}

/// One look of an audit; another follows until nothing is left over.
async fn look(kernel: &Arc<Kernel>, audit: &mut Audit) -> Result<Rested, StoreError> {
    let looked = audit.look(kernel).await;
    if looked.is_err() || audit.has_suspects() {
        kernel.ledger.suspect();
    }
    looked.map(|()| Rested::Yes)
}

/// Waits until every stray is released, but no longer than `limit`.
pub(crate) async fn settled(kernel: &Arc<Kernel>, limit: Duration) {
    let all = async {
        loop {
            let settled = kernel.ledger.settled();
            ensure_settling(kernel);
            if !kernel.ledger.has_strays() {
                return;
            }
            settled.await;
        }
    };
    if tokio::time::timeout(limit, all).await.is_err() {
        tracing::warn!(
            "executions could not be released in time; that is tried until the process ends"
        );
    }
}
