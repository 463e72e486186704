//! `replay`: whether this program's code still comes to what is recorded.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use futures::FutureExt;
use tokio::sync::mpsc;

use crate::engine::Engine;
use crate::engine::history::reader::{History, is_delivery};
use crate::engine::history::replay_loop::{Replaying, Trying, check_format, fresh_machine};
use crate::engine::kernel::Kernel;
use crate::engine::kernel::input::{DriverInput, Inputs};
use crate::error::{Error, panic_message};
use crate::event::Event;
use crate::id::{EventSeq, ExecutionId};
use crate::replay::{Machine, Tries};
use crate::store::ExecutionRecord;
use crate::workflow::WorkflowDef;

/// What a replay that found no difference went through: see [`Engine::replay`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Replayed {
    /// How many events count; what a rewind took back, and what was before a new beginning, does not.
    pub events: usize,
    /// How many arrivals were handed to the code again.
    pub deliveries: usize,
    /// Whether the history ends with an end of the code, and the code came to the same.
    pub is_finished: bool,
}

impl Engine {
    /// Runs this program's code against what is recorded of an execution, whatever its status, and compares: the calls
    /// it asks for, and how it ends.
    ///
    /// Nothing is carried out and nothing is written: no body runs, no child starts, no timer fires, nobody becomes its
    /// owner. So it is safe for an execution that another process drives; it reads as far as the history is when it
    /// begins. What the code itself does between its calls it does again, as in every replay.
    ///
    /// Where the history ends before the code does, the code is dropped there. An execution that was cancelled or
    /// terminated, or ran out of time, may end so anywhere.
    ///
    /// # Errors
    ///
    /// Those of a resume: [`Error::NonDeterminism`] names the event at which code and history part, and both sides;
    /// [`Error::ReplayDecode`], [`Error::WorkflowNotFound`], [`Error::VersionMismatch`], [`Error::FormatTooNew`],
    /// [`Error::ExecutionNotFound`].
    ///
    /// # Examples
    ///
    /// ```
    /// # use flux::{task, workflow, Engine, ExecutionContext, TaskError};
    /// # #[task] async fn charge(amount: u32) -> u32 { amount }
    /// #[workflow]
    /// async fn bill(ctx: ExecutionContext<u32>) -> Result<u32, TaskError> {
    ///     charge(*ctx.input()).await
    /// }
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), flux::Error> {
    /// let engine = Engine::in_memory();
    /// let run = bill.on(&engine).run(7).await?;
    /// let replayed = engine.replay(run.execution_id()).await?;
    /// assert!(replayed.is_finished);
    /// assert_eq!(replayed.deliveries, 2); // the start, and what `charge` returned
    /// # Ok(()) }
    /// ```
    pub async fn replay(&self, id: impl Into<ExecutionId>) -> Result<Replayed, Error> {
        let id = id.into();
        let (record, last) = at_one_moment(&self.kernel, &id).await?;
        check_format(&record)?;
        let def = self.kernel.registry.for_execution(&record, None)?;
        Rehearsal::new(&self.kernel, def, record, last).run().await
    }
}

/// The row and the last event that belongs to it. Somebody may write meanwhile: a rewind or a new beginning, of which
/// the row would know nothing.
async fn at_one_moment(
    kernel: &Kernel,
    id: &ExecutionId,
) -> Result<(ExecutionRecord, EventSeq), Error> {
    let mut record = kernel.record(id).await?;
    loop {
        let last = kernel.store.last_event(record.key).await?;
        let again = kernel.record(id).await?;
        if (again.base, again.rewound) == (record.base, record.rewound) {
            return Ok((record, last.map_or(EventSeq::FIRST, |last| last.seq)));
        }
        record = again;
    }
}

/// A replay that nothing follows.
struct Rehearsal {
    kernel: Arc<Kernel>,
    def: &'static WorkflowDef,
    record: ExecutionRecord,
    last: EventSeq,
    machine: Machine,
    sender: mpsc::UnboundedSender<DriverInput>,
    inputs: Inputs,
}

impl Rehearsal {
    fn new(
        kernel: &Arc<Kernel>,
        def: &'static WorkflowDef,
        record: ExecutionRecord,
        last: EventSeq,
    ) -> Self {
        let (sender, inputs) = mpsc::unbounded_channel();
        let machine = fresh_machine(kernel, def, &record.id, &sender, None, record.base);
        Self {
            kernel: Arc::clone(kernel),
            def,
            record,
            last,
            machine,
            sender,
            inputs: Inputs::new(inputs),
        }
    }

    async fn run(mut self) -> Result<Replayed, Error> {
        let mut trying = Trying::default();
        loop {
            match self.run_unharmed(trying.tries.clone()).await {
                Err(error) => trying.failed(error, &self.machine)?,
                Ok(replayed) => return Ok(replayed),
            }
        }
    }

    /// The code's own panics are ends of it; here end those of types that are read from the record.
    async fn run_unharmed(&mut self, tries: Tries) -> Result<Replayed, Error> {
        let running = AssertUnwindSafe(self.run_trying(tries)).catch_unwind();
        match running.await {
            Ok(replayed) => replayed,
            Err(panic) => Err(Error::ReplayDecode {
                id: self.record.id.clone(),
                event: self.machine.shared.state().delivery,
                what: "value".to_owned(),
                path: ".".to_owned(),
                message: format!("reading it panicked: {}", panic_message(&*panic)),
            }),
        }
    }

    async fn run_trying(&mut self, tries: Tries) -> Result<Replayed, Error> {
        self.machine = self.fresh_machine();
        self.machine.try_with(tries);
        let (history, _) = History::open(&self.kernel.store, &self.record).await?;
        let mut history = history.until(self.last);
        let mut replayed = Replayed {
            events: 0,
            deliveries: 0,
            is_finished: false,
        };
        let mut replaying = Replaying {
            machine: &mut self.machine,
            id: &self.record.id,
            workflow: self.def.name,
            inputs: &mut self.inputs,
        };
        let undelivered = replaying
            .all(&mut history, |event| replayed.see(event))
            .await?;
        if let Some(arrival) = undelivered {
            replayed.deliveries -= 1;
            self.hand_over(&arrival)?;
        }
        replayed.is_finished = self.machine.has_ended();
        Ok(replayed)
    }

    fn fresh_machine(&self) -> Machine {
        fresh_machine(
            &self.kernel,
            self.def,
            &self.record.id,
            &self.sender,
            self.record.placement.scheduled_at,
            self.record.base,
        )
    }

    /// Nothing is recorded of what comes of it: the code is not polled with it.
    fn hand_over(&mut self, arrival: &Event) -> Result<(), Error> {
        let handed = self.machine.hand_over(arrival);
        handed.map_err(|stop| stop.into_error(&self.record.id, self.def.name))
    }
}

impl Replayed {
    fn see(&mut self, event: &Event) {
        self.events += 1;
        self.deliveries += usize::from(is_delivery(event));
    }
}
