//! The life of a workflow's code, from its first poll to its end, however that comes.
//!
//! ```text
//!  the user's code ──► returns, panics, is stopped ──► dropped ──► nothing is left to be done ──► end
//!                                                         │
//!                                                         └──► EXIT_STARTED ──► rollbacks, unless it is a good end ──► what `on_exit` was given ──► end
//! ```
//!
//! What is done at the end, the newest first, are calls of the workflow as any others: recorded, retried, replayed. Whether there is to be an
//! exit phase is decided live, when the execution is over and not only an attempt of it, and recorded: a replay does as
//! the record says.

use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use super::end::{End, FailedEnd, Stopped};
use super::on_exit;
use super::rollback;
use super::shared::{ExitRule, Shared, SharedState};
use crate::error::{BodyError, ErrorRecord, is_same_error, panic_message};
use crate::id::EventSeq;
use crate::payload::Payload;
use crate::workflow::{StopReason, WorkflowFuture};

/// The code of one execution. It is polled, and dropped, as the code of its workflow.
pub(crate) struct Lifecycle {
    shared: Arc<Shared>,
    phase: Phase,
}

enum Phase {
    /// What the user wrote.
    Code(WorkflowFuture),
    /// It has ended too late: the stop that follows decides.
    Late,
    /// It has ended so, and what it left to be done is done.
    Exit(End, ExitWork),
    Over,
}

/// Gives what failed first of what was to be done at the end.
type ExitWork = Pin<Box<dyn Future<Output = Option<FailedEnd>> + Send>>;

/// What a poll of the user's code came to.
enum Ran {
    Returned(Result<Payload, BodyError>),
    Panicked(String),
    /// It is over without its own doing.
    Stopped(StopReason),
}

impl Lifecycle {
    pub(crate) fn new(shared: Arc<Shared>, code: WorkflowFuture) -> Self {
        Self {
            shared,
            phase: Phase::Code(code),
        }
    }

    /// Polls the code once. Its panics end here.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<End> {
        if let Phase::Code(_) | Phase::Late = &self.phase {
            let Some(ran) = self.run_code(cx) else {
                return Poll::Pending;
            };
            self.drop_code();
            if self.shared.state().fault.is_some() {
                return Poll::Pending;
            }
            let end = self.end_of(ran);
            if !self.begin_exit(&end) {
                return Poll::Ready(end);
            }
            let is_good = matches!(end, End::Completed(_));
            let work = exit(Arc::clone(&self.shared), is_good);
            self.phase = Phase::Exit(end, Box::pin(work));
        }
        self.run_exit(cx)
    }

    fn run_code(&mut self, cx: &mut Context<'_>) -> Option<Ran> {
        if let Some(why) = self.shared.state().stop.take() {
            return Some(Ran::Stopped(why));
        }
        let Phase::Code(code) = &mut self.phase else {
            return None;
        };
        let polled = catch_unwind(AssertUnwindSafe(|| code.as_mut().poll(cx)));
        let ran = match polled {
            Ok(Poll::Ready(returned)) => Ran::Returned(returned),
            Err(panic) => Ran::Panicked(panic_message(&*panic)),
            Ok(Poll::Pending) => return self.begins_anew_too_late().then_some(Ran::CANCELLED),
        };
        if self.is_too_late() {
            self.drop_code();
            self.phase = Phase::Late;
            return None;
        }
        Some(ran)
    }

    fn is_too_late(&self) -> bool {
        let mut state = self.shared.state();
        if state.is_late {
            state.ended_late = Some(state.delivery);
        }
        state.is_late
    }

    /// Code that is to be cancelled ends where it wants to begin anew.
    fn begins_anew_too_late(&self) -> bool {
        let mut state = self.shared.state();
        state.is_cancelling && state.continue_with.take().is_some()
    }

    /// Drops what the code still holds, which records the calls among it as cancelled.
    fn drop_code(&mut self) {
        let code = std::mem::replace(&mut self.phase, Phase::Over);
        if catch_unwind(AssertUnwindSafe(|| drop(code))).is_err() {
            tracing::warn!(execution_id = %self.shared.id, "a destructor in the workflow panicked at its end");
        }
    }

    /// How the code ended. What was cancelled ends so, whatever its code made of it.
    fn end_of(&self, ran: Ran) -> End {
        let state = self.shared.state();
        let ran = if state.is_cancelling {
            Ran::CANCELLED
        } else {
            ran
        };
        match ran {
            Ran::Returned(Ok(output)) => self.completed(&state, output),
            Ran::Returned(Err(error)) => End::Failed(FailedEnd::returned(error, &state)),
            Ran::Panicked(message) => End::Failed(FailedEnd {
                panicked: true,
                ..FailedEnd::new(ErrorRecord::message(message), state.delivery)
            }),
            Ran::Stopped(why) => End::Stopped(Stopped {
                why,
                delivery: Some(state.delivery),
            }),
        }
    }

    fn completed(&self, state: &SharedState, output: Payload) -> End {
        let (size, limit) = (output.size(), self.shared.env.payload_limit);
        if size <= limit {
            return End::Completed(output);
        }
        let message =
            format!("the workflow's output takes {size} bytes, and the payload limit is {limit}");
        End::Failed(FailedEnd::new(
            ErrorRecord::message(message),
            state.delivery,
        ))
    }

    /// Whether anything is to be done now that the code has ended.
    fn begin_exit(&self, end: &End) -> bool {
        let mut state = self.shared.state();
        if state.continue_with.is_some() {
            return false;
        }
        let (how, is_over, is_good) = match end {
            End::ContinuedAsNew(_) => return false,
            End::Completed(_) => ("completed", true, true),
            End::Failed(failed) => ("failed", self.is_last_failure(&state, failed), false),
            End::Stopped(stopped) => (stopped.why.as_str(), true, false),
        };
        let wanted = is_over && state.has_work_at_exit(is_good);
        state.begin_exit(how, wanted)
    }

    /// Whether the execution has ended with this failure, and not only an attempt of it.
    fn is_last_failure(&self, state: &SharedState, failed: &FailedEnd) -> bool {
        match &state.exit_rule {
            ExitRule::Begin => true,
            ExitRule::Wait => self.would_repeat_unknown(state, failed),
            ExitRule::BeginUnless(before) => {
                let limit = self.shared.env.payload_limit;
                let error = failed.error.clone().within(limit);
                !failed.escaped.is_empty() || !is_same_error(before, &error)
            }
        }
    }

    fn would_repeat_unknown(&self, state: &SharedState, failed: &FailedEnd) -> bool {
        let begins_again = self.shared.workflow.options.restart || state.rollbacks.have_begun();
        let to = if begins_again {
            EventSeq::FIRST
        } else {
            failed.taken_back()
        };
        !state.unknown_since(to).is_empty()
    }

    fn run_exit(&mut self, cx: &mut Context<'_>) -> Poll<End> {
        let Phase::Exit(_, work) = &mut self.phase else {
            return Poll::Pending;
        };
        let failed = ready!(work.as_mut().poll(cx));
        match std::mem::replace(&mut self.phase, Phase::Over) {
            Phase::Exit(end, _) => Poll::Ready(with_failure(end, failed)),
            Phase::Code(_) | Phase::Late | Phase::Over => Poll::Pending,
        }
    }
}

/// What is done when the code is gone.
async fn exit(shared: Arc<Shared>, is_good: bool) -> Option<FailedEnd> {
    if !is_good {
        rollback::undo_all(&shared).await;
    }
    on_exit::run_all(&shared).await
}

/// What failed first is the failure: only a good end is spoilt by what was done after it.
fn with_failure(end: End, failed: Option<FailedEnd>) -> End {
    match (end, failed) {
        (End::Completed(_), Some(failed)) => End::Failed(failed),
        (end, _) => end,
    }
}

impl Ran {
    const CANCELLED: Self = Self::Stopped(StopReason::Cancelled);
}
