//! Always-replay mode: a test drops the code before every activation, and replays it.

use super::core::arrivals::Arrival;
use super::halt::Halt;
use super::load::Loading;
use crate::engine::history::reader::{History, ReplayStep};
use crate::engine::history::replay_loop::{Replaying, Trying};
use crate::replay::Machine;
use crate::store::ExecutionRecord;

impl Loading<'_> {
    /// Always-replay mode: the code is dropped and replayed before every activation.
    pub(super) async fn replay_always(&mut self) -> Result<(), Halt> {
        let Some(record) = self.core.row.record.clone() else {
            return Ok(());
        };
        if self.core.rewinding.planned.is_some() {
            return Ok(());
        }
        // What woke the code is in the code that would be dropped.
        if self.core.arrivals.first().is_some_and(Arrival::is_wake_up) {
            return Ok(());
        }
        let at = self.core.machine.next_seq();
        self.core.machine.evict();
        let mut trying = Trying::default();
        let mut machine = loop {
            let mut machine = self.fresh_machine();
            machine.try_with(trying.tries.clone());
            match self.replay_into(&mut machine, &record).await {
                Err(Halt::Error(error)) => trying.failed(error, &machine)?,
                replayed => {
                    replayed?;
                    break machine;
                }
            }
        };
        machine.set_next(at);
        self.core.machine = machine;
        Ok(())
    }

    /// Replays all but an arrival that waits to be delivered.
    async fn replay_into(
        &mut self,
        machine: &mut Machine,
        record: &ExecutionRecord,
    ) -> Result<(), Halt> {
        let (mut history, _) = History::open(&self.kernel.store, record).await?;
        let first_open = match self.core.arrivals.first() {
            Some(Arrival::Open(event)) => Some(event.seq),
            _ => None,
        };
        while let Some(item) = history.next().await? {
            match item {
                ReplayStep::Note(event) => machine.replay_note(&event),
                ReplayStep::Delivery { group, open }
                    if open && first_open == Some(group.arrival.seq) => {}
                ReplayStep::Delivery { group, .. } => {
                    let mut replaying = Replaying {
                        machine,
                        id: &self.core.id,
                        workflow: self.core.def.name,
                        inputs: &mut self.link.inputs,
                    };
                    replaying.group(group).await?;
                }
            }
        }
        Ok(())
    }
}
