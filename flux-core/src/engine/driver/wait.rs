//! Waiting: until a body ends, a timer is due, or somebody wants something.

use std::sync::Arc;
use std::time::Duration;

use super::{Driver, Input};
use crate::engine::watch;
use crate::event::EventKind;

use super::activation::{Arrival, NewOutcome};

/// A driver that waits longer than this is told of what other processes send; before that it is not worth a
/// look at the file.
const BRIEF: Duration = Duration::from_millis(20);

/// A driver that takes more turns than this without such a wait is told as well.
const MOST_BRIEF_TURNS: u32 = 64;

impl Driver {
    /// Takes what has come in since.
    pub(super) fn take_inputs(&mut self) {
        while let Some(input) = self.inputs.try_next() {
            self.take(input);
        }
    }

    fn take(&mut self, input: Input) {
        match input {
            Input::Body { call, run, result } => self.body_ended(call, run, result),
            Input::Statements(from) => self.statements.push_back(from),
            Input::Child {
                call,
                since,
                report,
            } => self.child_reported(call, since, report),
            Input::Inbox => self.has_stale_inbox = true,
            Input::Woken => self.woken(),
            Input::Rest => self.is_to_rest = true,
            Input::Retire => self.retire(),
        }
    }

    /// Something that is not durable woke the code: its place among the arrivals is recorded.
    pub(super) fn woken(&mut self) {
        if self.hold.is_some() || !self.machine.take_foreign() {
            return;
        }
        if !std::mem::replace(&mut self.has_warned_of_foreign, true) {
            tracing::warn!(
                execution_id = %self.id,
                workflow = self.def.name,
                "the workflow awaits something that is not durable (a tokio timer, a socket, a spawned task); \
                 after a crash it happens again, perhaps differently: do it in a task or a `flux::step`"
            );
        }
        let mut outcome = NewOutcome::new(EventKind::Woken, crate::id::EventSeq::FIRST);
        outcome.call = None;
        self.arrivals.push_back(Arrival::Outcome(Box::new(outcome)));
    }

    /// Counts turns that were taken without a wait as long as [`BRIEF`]. Code that never waits is told of what other
    /// processes send nevertheless.
    pub(super) fn count_turns(&mut self, turns: u32) {
        self.brief_turns = self.brief_turns.saturating_add(turns);
        if self.brief_turns >= MOST_BRIEF_TURNS && !self.is_watched {
            self.listen();
        }
    }

    /// From here on, this driver is told of what other processes send.
    fn listen(&mut self) {
        self.is_watched = true;
        watch::ensure(&self.engine);
        self.has_stale_inbox = true;
    }

    /// Waits until there may be something to do.
    pub(super) async fn wait(&mut self) {
        let now = self.now();
        // What is due wakes nothing that is to be put on hold.
        let is_free = self.hold.is_none();
        let length = self.due.first_length().filter(|_| is_free);
        let length = length.into_iter().chain(self.next_stop()).min();
        let moment = self.due.first_moment().filter(|_| is_free);
        let time = Arc::clone(&self.engine.time);
        let passed = async {
            match length {
                Some(at) => time.pass(at.since(now)).await,
                None => std::future::pending().await,
            }
        };
        let come = async {
            match moment {
                Some(at) => time.until(at).await,
                None => std::future::pending().await,
            }
        };
        let brief = async {
            if self.is_watched {
                std::future::pending::<()>().await;
            } else {
                tokio::time::sleep(BRIEF).await;
            }
        };
        let idle_limit = self.idle_limit().filter(|_| self.is_watched);
        let drowsy = async move {
            match idle_limit {
                Some(limit) => tokio::time::sleep(limit).await,
                _ => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            input = self.inputs.next() => if let Some(input) = input { self.take(input) },
            () = passed => self.woken_for = self.woken_for.max(length.unwrap_or(self.woken_for)),
            () = come => self.woken_for = self.woken_for.max(moment.unwrap_or(self.woken_for)),
            () = drowsy => self.is_to_rest = true,
            () = brief => {
                self.listen();
            }
        }
    }
}
