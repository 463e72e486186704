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

use super::activation::Activation;
use super::{Driver, Halt};
use crate::context::unknown::CutOff;
use crate::engine::Inner;
use crate::event::{Doubt, EndedMeta};
use crate::id::{EventSeq, ExecutionId};
use crate::payload::Payload;
use crate::store::{ExecutionRecord, StoreError};

/// How long a child may take to end, beyond the time that it has to clean up.
const PATIENCE: Duration = Duration::from_secs(10);

/// The wait between two looks at a child that has not ended; it doubles from the first.
const FIRST_LOOK: Duration = Duration::from_millis(1);
const LAST_LOOK: Duration = Duration::from_millis(50);

/// An end names no more children than this: what is in doubt in more of them counts as unknown.
const MOST: usize = 1000;

/// Why no child can be called again unless a person asks for it.
#[derive(Debug, Clone)]
pub(super) struct InDoubt {
    child: ExecutionId,
    why: String,
}

impl InDoubt {
    /// Why the call of a child fails.
    pub(super) fn message(&self) -> String {
        format!(
            "execution `{}`, which an earlier attempt called and cut off, {}; a `resume` calls it again",
            self.child, self.why
        )
    }
}

impl Driver {
    /// The children that are cut off and called again if everything from `to` on is taken back, with those that earlier
    /// attempts have left in doubt.
    pub(super) fn cut_off_since(&self, to: EventSeq) -> Vec<ExecutionId> {
        let cut_off = self.machine.shared.state().cut_off_since(to);
        let named = cut_off.into_iter().map(|child| match child {
            CutOff::Own(call) => self.id.child(call),
            CutOff::Named(id) => id,
        });
        let all: BTreeSet<_> = named.chain(self.cut_off.iter().cloned()).collect();
        all.into_iter().collect()
    }

    /// Adds to the last event, which ends this execution, what that leaves in doubt.
    pub(super) fn end_in_doubt(&self, activation: &mut Activation) -> Doubt {
        let doubt = self.doubt();
        if let Some(event) = activation.events.last_mut()
            && !doubt.is_none()
        {
            let meta = EndedMeta {
                doubt: doubt.clone(),
                ..event.meta()
            };
            event.meta = Payload::encode(&meta).ok();
        }
        doubt
    }

    fn doubt(&self) -> Doubt {
        let unknown = self.machine.shared.state().unknown_since(EventSeq::FIRST);
        let mut doubt = Doubt {
            unknown,
            cut_off: self.cut_off_since(EventSeq::FIRST),
        };
        if doubt.cut_off.len() > MOST {
            doubt.unknown.push(Arc::from(self.def.name));
            doubt.cut_off.clear();
        }
        doubt
    }

    /// Waits until the children that earlier attempts cut off have ended, and finds out whether they can be called again.
    pub(super) async fn settle_doubts(&mut self) -> Result<(), Halt> {
        self.in_doubt = match self.cut_off.as_slice() {
            [] => None,
            cut_off => in_doubt(&self.engine, cut_off.to_vec()).await?,
        };
        // Those that leave nothing in doubt need not be looked at by every further attempt.
        if self.in_doubt.is_none() {
            self.cut_off.clear();
        }
        Ok(())
    }
}

/// The first of these, or of the children that they cut off in turn, that leaves something in doubt.
async fn in_doubt(
    engine: &Arc<Inner>,
    mut left: Vec<ExecutionId>,
) -> Result<Option<InDoubt>, StoreError> {
    let until = Instant::now() + engine.cancel_window + PATIENCE;
    let mut seen = BTreeSet::new();
    while let Some(child) = left.pop() {
        if !seen.insert(child.clone()) {
            continue;
        }
        // One whose call was dropped at once was never created.
        let Some(record) = engine.store.execution(&child).await? else {
            continue;
        };
        let Some(doubt) = doubt_of(engine, record, until).await? else {
            let why = "has not ended yet".to_owned();
            return Ok(Some(InDoubt { child, why }));
        };
        if let Some(task) = doubt.unknown.first() {
            let why = format!("may have done what `{task}` does, which is done at most once");
            return Ok(Some(InDoubt { child, why }));
        }
        left.extend(doubt.cut_off);
    }
    Ok(None)
}

/// What an execution leaves in doubt, when it has ended; nothing where it has not by then.
async fn doubt_of(
    engine: &Arc<Inner>,
    mut record: ExecutionRecord,
    until: Instant,
) -> Result<Option<Doubt>, StoreError> {
    let mut wait = FIRST_LOOK;
    while !record.status.is_finished() {
        if Instant::now() >= until {
            return Ok(None);
        }
        // Its process may have died before it ended.
        engine.poke(&record.id).await;
        tokio::time::sleep(wait).await;
        wait = (wait * 2).min(LAST_LOOK);
        match engine.store.execution(&record.id).await? {
            Some(found) => record = found,
            None => return Ok(Some(Doubt::default())),
        }
    }
    let last = engine.store.last_event(record.key).await?;
    Ok(Some(last.map_or_else(Doubt::default, |last| {
        last.meta::<EndedMeta>().doubt
    })))
}
