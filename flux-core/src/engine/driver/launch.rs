//! Sets a driver to work.

use std::sync::Arc;

use tokio::sync::mpsc;
use tracing::Instrument;

use super::Driver;
use super::halt::Halt;
use super::intent::Begin;
use crate::engine::kernel::Kernel;
use crate::engine::kernel::driving::{Driving, Seat};
use crate::engine::kernel::progress::{DriverProgress, OnSettled, Settled};
use crate::error::Error;
use crate::id::ExecutionId;
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
            Ok(snapshot) => settle(&leave.seat, on_settled, Ok(snapshot)),
        }
    });
    driving.runs_as(tokio::spawn(running.instrument(span)).abort_handle());
    Ok(driving)
}

fn settle(seat: &Seat, on_settled: Option<OnSettled>, settled: Settled) {
    if let Some(on_settled) = on_settled {
        on_settled(&settled);
    }
    seat.report(DriverProgress::Settled(Box::new(settled)));
}
