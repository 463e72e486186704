//! Taking an execution up: as it was created or started, from its history, or again after a failed attempt.

use super::Driver;
use super::core::calls::CutOffBodies;
use super::halt::Halt;
use super::inbox::refresh_inbox;
use super::intent::Intent;
use super::lines;
use crate::engine::history::replay_loop::check_format;
use crate::engine::kernel::pausing::Answer;
use crate::engine::ownership::Claimed;
use crate::event::Event;
use crate::execution::Snapshot;
use crate::store::ExecutionRecord;

impl Driver {
    /// Takes up a child that its parent has just created.
    pub(super) fn begin_born(&mut self, claimed: Claimed, start: Event, has_orders: bool) {
        let record = self.own(claimed);
        self.core.begin_born(record, start);
        lines::log(&self.core, &[lines::start(&self.core)]);
        if has_orders {
            self.core.inbox.expect_news();
        }
    }

    /// Takes up what waited for its turn, and has done nothing yet.
    pub(super) fn begin_queued(&mut self, claimed: Claimed, event: &Event) {
        let record = self.own(claimed);
        self.core.row.take(record);
        let machine = self.loading().fresh_machine();
        self.core.begin_in_turn(machine, event);
    }

    /// Takes up what has a history. Returns how it stands where it is not driven on from here.
    pub(super) async fn begin_claimed(
        &mut self,
        claimed: Claimed,
        intent: Intent,
        started: &mut impl FnMut(),
    ) -> Result<Option<Snapshot>, Halt> {
        let record = self.own(claimed);
        lines::log_takeover(&record);
        let Some(intent) = intent.fit(&record) else {
            self.commits.release(None).await;
            return Ok(Some(self.kernel.snapshot(record).await?));
        };
        let left = match Box::pin(self.boot(record, intent)).await {
            Ok(()) => {
                started();
                Ok(None)
            }
            Err(Halt::PutOff) => {
                started();
                Box::pin(self.put_off()).await.map(Some)
            }
            Err(error) => Err(error),
        };
        match left {
            Ok(left) => Ok(left),
            Err(error) => Err(self.give_up(error).await),
        }
    }

    fn own(&mut self, claimed: Claimed) -> ExecutionRecord {
        let Claimed {
            record, ownership, ..
        } = claimed;
        self.commits.own(ownership);
        record
    }

    /// Replays what is recorded and takes up what was at work.
    pub(super) async fn boot(
        &mut self,
        record: ExecutionRecord,
        intent: Intent,
    ) -> Result<(), Halt> {
        let readable = check_format(&record);
        self.core.row.take(record.clone());
        readable?;
        match intent {
            Intent::Retry => self.loading().plan_retry(&record).await?,
            Intent::Reopen => self.loading().plan_reopen(&record).await?,
            Intent::Recover | Intent::Answer(_) => {}
        }
        let progress = self.loading().load().await?;
        self.core.begin_queued();
        let cut_off = match intent {
            Intent::Retry => CutOffBodies::None,
            Intent::Reopen => CutOffBodies::AtMostOnce,
            Intent::Recover | Intent::Answer(_) if self.loading().is_untouched().await? => {
                CutOffBodies::None
            }
            Intent::Recover | Intent::Answer(_) => CutOffBodies::All,
        };
        self.take_up_calls(progress, cut_off).await?;
        self.core.inbox.expect_news();
        refresh_inbox(&self.kernel, &mut self.core).await?;
        self.core.reckon_by_row();
        self.link.look_for_arrivals(&mut self.core);
        match intent {
            Intent::Answer(answer) => {
                self.core.inbox.answer.is_named = answer.at.is_some() || answer.value.is_some();
                self.answer(&answer).await
            }
            Intent::Recover | Intent::Retry | Intent::Reopen => Ok(()),
        }
    }

    async fn answer(&mut self, answer: &Answer) -> Result<(), Halt> {
        let answered = match self.core.answer_pause(answer) {
            Ok(None) => Ok(()),
            Ok(Some(point)) => self.children().answer(&point, answer).await,
            Err(error) => Err(error.into()),
        };
        let standing = self.core.standing(None, &[]);
        if answered.is_err() && self.core.row.differs(&standing) {
            // It may have been meant for what the row still says and no longer holds: the pause of a child that has gone on
            // since. The row is put right, so that the execution is seen to go on.
            self.commit(Box::default(), standing).await?;
        }
        answered
    }

    /// After a failed attempt or a new beginning: everything from the store again.
    pub(super) async fn begin_again(&mut self) -> Result<(), Halt> {
        self.core.forget_work();
        let progress = self.loading().load().await?;
        // What waited in a queue has its start after the event that put it there, and an attempt may take that back.
        self.core.begin_queued();
        self.take_up_calls(progress, CutOffBodies::None).await
    }
}
