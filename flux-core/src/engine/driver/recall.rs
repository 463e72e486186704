//! An end that is not written, because a command came before it.
//!
//! ```text
//!   the code ends ──► its commit heeds the inbox ──┬─ nothing unread: it has ended
//!                                                  └─ a command: nothing is written; the execution is taken up from the store
//!                                                     once more, and what its calls were answered with comes after the command
//! ```
//!
//! Other processes post commands at any time, and a driver may hear of them up to 100 ms later. Without this, a command that
//! was accepted in that time would never be read.

use super::halt::Halt;
use super::intent::Intent;
use super::{Driver, Step};

impl Driver {
    /// Takes the execution up once more, as it is in the store, and reads the inbox.
    pub(super) async fn recall(&mut self) -> Result<Step, Halt> {
        let Some(record) = self.core.row.record.clone() else {
            return Ok(Step::Went);
        };
        self.link.take_inputs(&mut self.core);
        let answers = self.core.arrivals.take_answers();
        self.core.calls.detach_children();
        let machine = self.loading().fresh_machine();
        self.core.start_over(&self.kernel, machine);
        self.link.start_over();
        self.line = None;
        self.core.arrivals.recall(answers);
        match self.boot(record, Intent::Recover).await {
            Ok(()) => {
                self.core.arrivals.set_recalled();
                Ok(Step::Went)
            }
            Err(Halt::PutOff) => {
                self.link.salvage(&self.kernel, &mut self.core);
                Ok(Step::Settled(Box::new(self.put_off().await?)))
            }
            Err(error) => Err(error),
        }
    }
}
