//! A driver that panics is a fault of Flux. Whoever took the execution up again would run its bodies once more and meet
//! the same, so it is put on hold at once, with the reason.

use std::panic::{AssertUnwindSafe, catch_unwind};

use futures::FutureExt;

use super::Driver;
use super::core::Core;
use super::halt::Halt;
use crate::engine::kernel::{AFTER_FAULT, Kernel};
use crate::engine::undriven::hold_faulty;
use crate::error::Error;
use crate::execution::Snapshot;
use crate::id::{Epoch, ExecutionId};

/// What tokio's timers panic with when they are polled while their runtime shuts down, which the driver did not cause.
const RUNTIME_ENDS: &str = "is being shutdown";

impl Driver {
    /// Puts the execution on hold. While the store cannot do that, this driver stays its owner, so that no other begins a
    /// body again.
    pub(super) async fn hold_after_panic(&mut self, message: &str) -> Result<Snapshot, Halt> {
        if message.contains(RUNTIME_ENDS) {
            // A crash and no more: dropping the driver releases its execution.
            return Err(Error::Interrupted {
                id: self.core.id.clone(),
            }
            .into());
        }
        tracing::error!(
            execution_id = %self.core.id,
            workflow = self.core.def.name,
            panic = message,
            "the driver of an execution panicked, which is a fault of Flux: the execution is put on hold"
        );
        abandon_work(&mut self.core);
        // Where it has not learnt that its execution was created, no body was begun either.
        let Some((_, epoch)) = self.core.row.epoch() else {
            return Err(Error::Interrupted {
                id: self.core.id.clone(),
            }
            .into());
        };
        let reason =
            format!("Flux itself failed while driving it: {message}; a `resume` tries again");
        let held = hold_at_last(&self.kernel, &self.core.id, epoch, &reason).await;
        // Given up, finished, or another's: in each case there is nothing to release.
        self.commits.discharge();
        self.kernel.subscribers.notify(&self.core.id);
        Ok(held?)
    }
}

async fn hold_at_last(
    kernel: &Kernel,
    id: &ExecutionId,
    epoch: Epoch,
    reason: &str,
) -> Result<Snapshot, Error> {
    loop {
        let holding = hold_faulty(kernel, id, epoch, reason);
        match AssertUnwindSafe(holding).catch_unwind().await {
            Ok(Err(error @ Error::Store(_))) => {
                tracing::warn!(execution_id = %id, %error, "could not put the execution on hold; it is tried again");
            }
            Ok(held) => return held,
            Err(_) => {
                tracing::error!(execution_id = %id, "the store panicked while the execution was put on hold; it is tried again");
            }
        }
        tokio::time::sleep(AFTER_FAULT).await;
    }
}

/// Aborts bodies and drops the code. What holds them is in doubt, and a destructor may have been what panicked.
fn abandon_work(core: &mut Core) {
    core.machine.evict();
    core.calls.detach_children();
    while let Some(last) = core.calls.pop_task() {
        let _ = catch_unwind(AssertUnwindSafe(|| drop(last)));
    }
    let rest = AssertUnwindSafe(|| core.stop_work());
    let _ = catch_unwind(rest);
}
