//! Taking an execution up: from its history, or again after a failed attempt.

use super::Driver;
use super::core::calls::CutOffBodies;
use super::halt::Halt;
use super::inbox::refresh_inbox;
use super::intent::Intent;
use crate::engine::history::replay_loop::check_format;
use crate::engine::kernel::pausing::Answer;
use crate::store::ExecutionRecord;

impl Driver {
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
