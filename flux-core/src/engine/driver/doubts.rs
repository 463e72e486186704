//! Children that an attempt of the workflow cut off. They may be in the middle of what is not to be done twice, and the next
//! attempt would call them again, as new executions that know nothing of that.
//!
//! ```text
//!   an attempt fails ──► its REWOUND names the children that it cut off, whose calls no longer count
//!   the next one     ──► waits until they have ended, and reads what each leaves in doubt
//!                          ├─ nothing: it calls its children
//!                          └─ an `at_most_once` task that may have done its work: each call of a child fails with that
//! ```
//!
//! An end says what it leaves in doubt ([`Doubt`]), and names the children that it cut off itself.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::core::Core;
use super::core::rewinding::InDoubt;
use super::halt::Halt;
use super::inbox::refresh_inbox;
use super::link::Link;
use super::poke::poke;
use crate::engine::kernel::Kernel;
use crate::engine::kernel::message::newest_of_hold;
use crate::event::{Doubt, EndedMeta};
use crate::id::ExecutionId;
use crate::store::{ExecutionRecord, MessageKind};

/// How long a child may take to end, beyond the time that it has to clean up.
const PATIENCE: Duration = Duration::from_secs(10);

/// The wait between two looks at a child that has not ended; it doubles from the first.
const FIRST_LOOK: Duration = Duration::from_millis(1);
const LAST_LOOK: Duration = Duration::from_millis(50);

/// Looks at what earlier attempts have left in doubt.
pub(super) struct Doubts<'a> {
    pub(super) kernel: &'a Arc<Kernel>,
    pub(super) core: &'a mut Core,
    pub(super) link: &'a mut Link,
}

impl Doubts<'_> {
    /// Waits until the children that earlier attempts cut off have ended, and finds out whether they can be called again. A
    /// command ends the wait: [`PutOff`](Halt::PutOff) where the next attempt is not to begin now.
    pub(super) async fn settle(&mut self) -> Result<(), Halt> {
        self.core.rewinding.in_doubt = match self.core.rewinding.cut_off.as_slice() {
            [] => None,
            cut_off => {
                let called = |child: &ExecutionId| (self.core.id.clone(), child.clone());
                let left = cut_off.iter().map(called).collect();
                self.first_in_doubt(left).await?
            }
        };
        // Those that leave nothing in doubt need not be looked at by every further attempt.
        if self.core.rewinding.in_doubt.is_none() {
            self.core.rewinding.cut_off.clear();
        }
        Ok(())
    }

    /// The first child that leaves something in doubt: of `left`, which are pairs of parent and child, and of the children
    /// that those cut off in turn.
    async fn first_in_doubt(
        &mut self,
        mut left: Vec<(ExecutionId, ExecutionId)>,
    ) -> Result<Option<InDoubt>, Halt> {
        let until = Instant::now() + self.kernel.settings.cancel_window + PATIENCE;
        let mut seen = BTreeSet::new();
        while let Some((parent, child)) = left.pop() {
            if !seen.insert((parent.clone(), child.clone())) {
                continue;
            }
            let found = self.kernel.store.execution(&child).await?;
            // A child whose call was dropped at once was never created, and another execution may have the id chosen for it.
            let is_called = |record: &ExecutionRecord| record.parent.as_ref() == Some(&parent);
            let Some(record) = found.filter(is_called) else {
                continue;
            };
            let Some(doubt) = self.doubt_of(record, until).await? else {
                let why = "has not ended yet".to_owned();
                return Ok(Some(InDoubt { child, why }));
            };
            if let Some(task) = doubt.unknown.first() {
                let why = format!("may have done what `{task}` does, which is done at most once");
                return Ok(Some(InDoubt { child, why }));
            }
            let cut_off = doubt.cut_off.into_iter();
            left.extend(cut_off.map(|grandchild| (child.clone(), grandchild)));
        }
        Ok(None)
    }

    /// What an execution leaves in doubt, once it has ended; `None` if it has not ended by `until`, or if this execution is to
    /// end first.
    async fn doubt_of(
        &mut self,
        mut record: ExecutionRecord,
        until: Instant,
    ) -> Result<Option<Doubt>, Halt> {
        let mut wait = FIRST_LOOK;
        while !record.status.is_finished() {
            if Instant::now() >= until || self.is_called_off().await? {
                return Ok(None);
            }
            // Its process may have died before it ended.
            poke(self.kernel, &record.id).await;
            tokio::time::sleep(wait).await;
            wait = (wait * 2).min(LAST_LOOK);
            match self.kernel.store.execution(&record.id).await? {
                Some(found) => record = found,
                None => return Ok(Some(Doubt::default())),
            }
        }
        let last = self.kernel.store.last_event(record.key).await?;
        Ok(Some(last.map_or_else(Doubt::default, |last| {
            last.meta::<EndedMeta>().doubt
        })))
    }

    /// Whether a command has come that ends this execution. [`PutOff`](Halt::PutOff) if it is to be held, or if its process is
    /// about to end.
    async fn is_called_off(&mut self) -> Result<bool, Halt> {
        let Some((key, _)) = self
            .core
            .row
            .epoch()
            .filter(|_| self.core.rewinding.planned.is_none())
        else {
            return Ok(false);
        };
        self.link.take_inputs(self.core);
        let inbox = self.kernel.store.inbox_after(key, self.core.inbox.last());
        let inbox = inbox.await?;
        if inbox.iter().any(|message| message.kind.ends()) {
            self.core.inbox.expect_news();
            return Ok(true);
        }
        if newest_of_hold(&inbox).is_some_and(|message| message.kind == MessageKind::Pause) {
            self.core.inbox.expect_news();
            refresh_inbox(self.kernel, self.core).await?;
        }
        if self.core.inbox.is_held() || self.link.is_retiring() {
            return Err(Halt::PutOff);
        }
        Ok(false)
    }
}
