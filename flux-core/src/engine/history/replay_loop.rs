//! The replay loop: leads a machine through what is recorded. A driver begins with it; who only wants to know whether
//! the code still fits, does no more.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;

use super::reader::{History, ReplayStep};
use crate::clock::Timestamp;
use crate::context::request::Request;
use crate::context::shared::Shared;
use crate::engine::kernel::Kernel;
use crate::engine::kernel::input::{DriverInput, Inputs};
use crate::error::{Error, NonDeterminism};
use crate::event::{Event, EventKind, FORMAT};
use crate::id::{EventSeq, ExecutionId};
use crate::replay::{Group, Machine, Tries};
use crate::store::ExecutionRecord;
use crate::workflow::WorkflowDef;

/// How many deliveries are replayed before other tasks of the runtime get their turn.
const TURN: usize = 256;

/// How long a replay waits for a foreign wake-up to happen again.
const FOREIGN_PATIENCE: Duration = Duration::from_secs(30);

/// A machine at the beginning of a history.
pub(crate) fn fresh_machine(
    kernel: &Arc<Kernel>,
    def: &'static WorkflowDef,
    id: &ExecutionId,
    sender: &mpsc::UnboundedSender<DriverInput>,
    scheduled_at: Option<Timestamp>,
    next: EventSeq,
) -> Machine {
    let shared = Shared::new(id.clone(), def, Arc::clone(&kernel.env), scheduled_at);
    let sender = sender.clone();
    let on_foreign = move || {
        let _ = sender.send(DriverInput::Woken);
    };
    Machine::new(shared, next, Arc::new(on_foreign))
}

/// Refuses what a newer Flux wrote.
pub(crate) fn check_format(record: &ExecutionRecord) -> Result<(), Error> {
    if record.format <= FORMAT {
        return Ok(());
    }
    Err(Error::FormatTooNew {
        id: record.id.clone(),
        found: record.format,
        supported: FORMAT,
    })
}

/// The tries of one replay: see [`Machine::next_try`].
#[derive(Debug, Default)]
pub(crate) struct Trying {
    pub(crate) tries: Tries,
    /// What the first order of equal calls came to: if no other one fits either, this is the error.
    first: Option<Error>,
}

impl Trying {
    /// Takes the failure of a try; the error where no other is worth while.
    pub(crate) fn failed(&mut self, error: Error, machine: &Machine) -> Result<(), Error> {
        let Some(next) = machine.next_try(&error) else {
            return Err(self.first.take().unwrap_or(error));
        };
        if !next.tries_the_order_of(&self.tries) {
            self.first.get_or_insert(error);
        }
        self.tries = next;
        Ok(())
    }
}

/// A replay under way.
pub(crate) struct Replaying<'a> {
    pub(crate) machine: &'a mut Machine,
    pub(crate) id: &'a ExecutionId,
    pub(crate) workflow: &'static str,
    /// Where foreign wake-ups arrive.
    pub(crate) inputs: &'a mut Inputs,
}

impl Replaying<'_> {
    /// Replays all of `history`, and shows every event to `see`. Gives the last arrival, undelivered, where it may
    /// have been recorded before the code was polled with it.
    pub(crate) async fn all(
        &mut self,
        history: &mut History,
        mut see: impl FnMut(&Event),
    ) -> Result<Option<Event>, Error> {
        let mut count = 0;
        let mut undelivered = None;
        while let Some(item) = history.next().await? {
            match item {
                ReplayStep::Note(event) => {
                    self.machine.replay_note(&event);
                    see(&event);
                }
                ReplayStep::Delivery { group, open } => {
                    see(&group.arrival);
                    group.asked.iter().for_each(&mut see);
                    if (open || group.is_cut_off()) && self.is_undelivered(&group.arrival) {
                        undelivered = Some(group.arrival);
                    } else {
                        self.group(group).await?;
                    }
                }
            }
            count += 1;
            if count % TURN == 0 {
                tokio::task::yield_now().await;
            }
        }
        Ok(undelivered)
    }

    /// Replays one delivery. The polls are outside tokio's co-operative budget, which no history knows of.
    pub(crate) async fn group(&mut self, group: Group) -> Result<(), Error> {
        let arrival = group.arrival.seq;
        let replayed = tokio::task::unconstrained(async { self.machine.replay(group) }).await;
        let mut is_done = replayed.map_err(|stop| stop.into_error(self.id, self.workflow))?;
        while !is_done {
            self.wait_for_foreign(arrival).await?;
            let replayed = tokio::task::unconstrained(async { self.machine.replay_again() }).await;
            is_done = replayed.map_err(|stop| stop.into_error(self.id, self.workflow))?;
        }
        Ok(())
    }

    /// Whether the last arrival of the history may have been committed before the code was polled with it: only
    /// a beginning and the end of a transaction are. Any other was delivered, and the code asked for nothing.
    fn is_undelivered(&self, arrival: &Event) -> bool {
        match arrival.kind {
            EventKind::WorkflowStarted | EventKind::ContinuedAsNew | EventKind::Rewound => true,
            _ => arrival.refers.is_some_and(|call| {
                let mut state = self.machine.shared.state();
                let request = state
                    .call_by_seq(call)
                    .and_then(|call| call.request.as_ref());
                matches!(request, Some(Request::Transaction(_)))
            }),
        }
    }

    async fn wait_for_foreign(&mut self, event: EventSeq) -> Result<(), Error> {
        if tokio::time::timeout(FOREIGN_PATIENCE, self.inputs.woken())
            .await
            .is_ok()
        {
            return Ok(());
        }
        let error = NonDeterminism {
            id: self.id.clone(),
            workflow: self.workflow.to_owned(),
            event,
            recorded: "a wake-up by something that is not durable".to_owned(),
            found: format!(
                "was not woken again within {}",
                humantime::format_duration(FOREIGN_PATIENCE)
            ),
            site: None,
            note: Some(
                "move what the workflow awaited there into a task or a `flux::step`".to_owned(),
            ),
        };
        Err(error.into())
    }
}
