//! Taking back what ended, when an execution is taken up that had ended.

use super::halt::Halt;
use super::load::Loading;
use crate::engine::history::reader::History;
use crate::engine::history::rewind_plan::{Failed, RewindPlan, event_before, recorded_input};
use crate::engine::kernel::message::ResumeRequest;
use crate::error::{FailureData, FailureKind};
use crate::event::EndedMeta;
use crate::store::{ExecutionRecord, Message, MessageKind, StoreError};

impl Loading<'_> {
    /// Plans the rewind of a failed execution; it is written with what first comes of it.
    pub(super) async fn plan_retry(&mut self, record: &ExecutionRecord) -> Result<(), Halt> {
        let Some(failed) = Failed::read(&self.kernel.store, record).await? else {
            return Ok(());
        };
        let plan = failed.plan();
        let core = &mut *self.core;
        core.rewinding.last = failed.rewind;
        core.rewinding.input = failed.input;
        core.row.attempt = record.attempt;
        core.machine.skip_to(failed.last.seq);
        core.time.reckon_from(failed.last.at);
        if decided_by_itself(&failed.failure) && !failed.failure.rolled_back {
            core.rewinding.tentative = Some(Box::new(failed.snapshot));
        }
        let event = core.rewind(plan);
        core.rewinding.planned = Some(event);
        Ok(())
    }

    /// Plans the rewind of a cancelled or terminated execution: only its end is taken back, and what led to it.
    pub(super) async fn plan_reopen(&mut self, record: &ExecutionRecord) -> Result<(), Halt> {
        let store = &self.kernel.store;
        let Some(last) = store.last_event(record.key).await? else {
            return Ok(());
        };
        let (_, rewind) = History::open(store, record).await?;
        let budget_from = rewind.as_ref().map_or(1, |rewind| rewind.meta.budget_from);
        // One with a parent may be opened again by an attempt of it, which no person has asked for.
        let cut_off = rewind
            .as_ref()
            .filter(|_| record.parent.is_some())
            .map_or_else(Vec::new, |rewind| rewind.meta.cut_off.clone());
        let ended = last.meta::<EndedMeta>();
        let mut plan = RewindPlan {
            to: ended.since.unwrap_or(last.seq),
            retry: Vec::new(),
            restart: false,
            anew: ended.rolled_back,
            attempt: record.attempt,
            budget_from,
            cut_off,
        };
        let input = recorded_input(store, record).await?;
        if let Some(before) = event_before(store, record, plan.to).await? {
            plan.take_back_open(&before, record.base);
        }
        let core = &mut *self.core;
        core.rewinding.last = rewind;
        core.rewinding.input = input;
        core.machine.skip_to(last.seq);
        core.time.reckon_from(last.at);
        let event = core.rewind(plan);
        core.rewinding.planned = Some(event);
        Ok(())
    }

    /// Whether the last rewind was written because somebody asked for it, and nothing has been begun since.
    pub(super) async fn is_untouched(&mut self) -> Result<bool, StoreError> {
        let row = &self.core.row;
        let (Some((key, _)), Some(rewound)) = (row.epoch(), row.rewound) else {
            return Ok(false);
        };
        if rewound.next() != self.core.machine.next_seq() {
            return Ok(false);
        }
        let asks = |message: &Message| {
            let is_request = message.kind == MessageKind::Resume;
            is_request && message.payload.decode() == Ok(ResumeRequest::Retry { rewound })
        };
        let inbox = self.kernel.store.inbox(key).await?;
        Ok(inbox.iter().any(asks))
    }
}

/// Whether no task's error led to this failure.
fn decided_by_itself(failure: &FailureData) -> bool {
    failure.escaped.is_empty() && matches!(failure.kind, FailureKind::Error | FailureKind::Panicked)
}
