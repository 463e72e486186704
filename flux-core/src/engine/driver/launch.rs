//! Sets a driver to work.

use std::sync::Arc;

use tokio::sync::mpsc;
use tracing::Instrument;

use super::Driver;
use super::halt::Halt;
use super::intent::Begin;
use super::poke::poke;
use crate::engine::kernel::Kernel;
use crate::engine::kernel::driving::{Driving, Seat};
use crate::engine::kernel::progress::{DriverProgress, OnSettled, Settled};
use crate::error::Error;
use crate::id::ExecutionId;
use crate::status::Status;
use crate::store::ExecutionRecord;
use crate::workflow::WorkflowDef;

/// Takes the driver out of the set when it ends, or is dropped wherever it stands.
struct Leave {
    kernel: Arc<Kernel>,
    seat: Seat,
}

impl Leave {
    fn leave(&self) {
        self.seat.leave();
        self.kernel.waiters.ring(self.seat.id());
    }
}

impl Drop for Leave {
    fn drop(&mut self) {
        self.leave();
    }
}

/// Sets a driver to work on the caller's runtime. Refused where one is at work; what was claimed is then released.
pub(crate) fn launch(
    kernel: &Arc<Kernel>,
    def: &'static WorkflowDef,
    id: ExecutionId,
    mut begin: Begin,
    on_settled: Option<OnSettled>,
) -> Result<Driving, Error> {
    let (sender, inputs) = mpsc::unbounded_channel();
    // What was claimed under a refused `begin` is released as that is dropped.
    let (seat, driving) = Seat::take(&kernel.drivers, &id, sender.clone())?;
    begin.entered();
    kernel.waiters.ring(&id);
    let leave = Leave {
        kernel: Arc::clone(kernel),
        seat,
    };
    let span = tracing::info_span!("execution", execution_id = %id, workflow = def.name);
    let attendance = driving.attendance().clone();
    let driver = Driver::new(kernel, def, id, sender, inputs, attendance);
    // On the heap once: a driver is large, and tokio moves what it spawns several times.
    let running = Box::pin(async move {
        let ended = driver
            .run(begin, || leave.seat.report(DriverProgress::Started))
            .await;
        // Out of the set first: whoever is told of the end may resume at once.
        leave.leave();
        match ended {
            Err(Halt::Refused(refusal)) => leave.seat.report(DriverProgress::Refused(refusal)),
            Err(Halt::Error(error)) => settle(&leave.seat, on_settled, Err(error)),
            // A driver handles both itself, and gives the execution up where it cannot.
            Err(Halt::Unread | Halt::PutOff) => {
                let id = leave.seat.id().clone();
                settle(&leave.seat, on_settled, Err(Error::TakenOver { id }));
            }
            Ok(snapshot) => {
                let is_paused = snapshot.record.status == Status::Paused;
                settle(&leave.seat, on_settled, Ok(snapshot));
                if is_paused {
                    look_after(&leave.kernel, leave.seat.id().clone());
                }
            }
        }
    });
    driving.runs_as(tokio::spawn(running.instrument(span)).abort_handle());
    Ok(driving)
}

/// A command that came while the driver paused the execution was announced to that driver, which has read its inbox for the
/// last time. Where no worker looks for what is ready, nobody else would read it.
fn look_after(kernel: &Arc<Kernel>, id: ExecutionId) {
    let kernel = Arc::clone(kernel);
    // A task of its own: whoever waited for the driver drops it now.
    tokio::spawn(async move {
        // What the driver has read makes nothing ready, so that a message which made it panic is not read again.
        let is_ready = |record: ExecutionRecord| record.ready_at.is_some();
        let found = kernel.store.execution(&id).await;
        match found.map(|record| record.is_some_and(is_ready)) {
            Ok(true) => poke(&kernel, &id).await,
            Ok(false) => {}
            Err(error) => {
                tracing::warn!(execution_id = %id, %error, "a command may wait for a worker or a `resume`");
            }
        }
    });
}

fn settle(seat: &Seat, on_settled: Option<OnSettled>, settled: Settled) {
    if let Some(on_settled) = on_settled {
        on_settled(&settled);
    }
    seat.report(DriverProgress::Settled(Box::new(settled)));
}
