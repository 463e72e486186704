//! Cancelling: the request is noted, code that waits for it is told, and what does not end by itself is stopped.
//!
//! ```text
//!  message ──► CANCEL_REQUESTED ──┬─ the code waits for it ──► CANCEL_DELIVERED ──► it ends, or the window does ──┐
//!                                 └─ it does not ─────────────────────────────────────────────────────────────────┴─► stopped
//! ```
//!
//! The note is what survives a crash: whoever recovers the execution goes on in what is left of the window.

use super::activation::Activation;
use super::arrivals::{Arrival, NewOutcome};
use super::calls::{CallState, CallWork};
use super::commands::{Cancellation, Cancelling};
use super::{Core, LookForNews};
use crate::clock::Timestamp;
use crate::event::{CancelMeta, EventKind};
use crate::id::EventSeq;
use crate::payload::Payload;
use crate::replay::{End, Stop};
use crate::workflow::StopReason;

/// So often a request may wait while code that never waits begins again. Then it comes before what that code would be
/// given next.
const MOST_PASSES: u8 = 2;

impl Core {
    /// Takes a request in. One that repeats another and one that finds the code gone change nothing about how the execution
    /// ends; but each takes back a pause that was requested before it, or that end would never come.
    pub(crate) fn receive_cancellation(&mut self, cancellation: Cancellation) {
        self.lift_hold();
        let is_late = self.inbox.cancelling.is_some() || self.is_exiting();
        if is_late || self.arrivals.has(Arrival::is_cancellation) {
            self.inbox.done_with(cancellation.message);
            return;
        }
        let goes_ahead = self.inbox.passed_over >= MOST_PASSES;
        self.arrivals.push_cancellation(cancellation, goes_ahead);
    }

    /// Notes a request, and tells the code; where nothing waits to be told, the code is stopped.
    pub(crate) fn begin_cancelling(
        &mut self,
        cancellation: Cancellation,
        activation: &mut Activation,
    ) -> Option<End> {
        // The code ended by itself with what was delivered just before.
        if self.is_exiting() {
            activation.consumed.push(cancellation.message);
            return None;
        }
        self.note_cancellation(cancellation, false, activation);
        self.tell_waiting();
        self.stop_unless_told()
    }

    /// Tells the calls that wait for a cancellation, before anything else.
    pub(crate) fn tell_waiting(&mut self) {
        for call in self.calls.take_uncancelled().into_iter().rev() {
            let told = NewOutcome::new(EventKind::CancelDelivered, call);
            self.arrivals.push_outcome_first(told);
        }
    }

    /// Notes a request that came before the end of the code was written. `arrival` and those behind it led to that end: code
    /// that does not wait to be told gets them once more and ends again, so that its rollbacks get what its tasks returned.
    pub(crate) fn cancel_before(
        &mut self,
        arrival: Arrival,
        cancellation: Cancellation,
        activation: &mut Activation,
    ) -> Result<Option<End>, Stop> {
        self.note_cancellation(cancellation, false, activation);
        self.arrivals.put_back(arrival);
        self.tell_waiting();
        let mut is_told = false;
        while let Some(arrival) = self.arrivals.next() {
            is_told |= arrival.tells_of_cancellation();
            if let Some(end) = self.deliver(arrival, activation)? {
                return Ok(Some(end));
            }
        }
        if is_told {
            return Ok(None);
        }
        Ok(self.stop_unless_told())
    }

    /// Records a request: from here on, however the code ends, it was cancelled. With `counts_first`, that also holds for the
    /// arrival that is recorded before the request.
    pub(crate) fn note_cancellation(
        &mut self,
        cancellation: Cancellation,
        counts_first: bool,
        activation: &mut Activation,
    ) {
        let mut note = self.event_at(EventKind::CancelRequested, None);
        let meta = CancelMeta {
            by_parent: cancellation.is_by_parent,
            counts_first,
        };
        note.meta = Payload::encode(&meta).ok();
        self.machine.shared.state().is_cancelling = true;
        activation.consumed.push(cancellation.message);
        self.inbox.cancelling = Some(Cancelling::noted(&note));
        activation.events.push(note);
    }

    /// Stops code that does not wait to be told of its cancellation.
    pub(crate) fn stop_unless_told(&mut self) -> Option<End> {
        let is_told = !self.calls.in_state(CallState::Uncancelled).is_empty()
            || self.arrivals.has(Arrival::tells_of_cancellation);
        if is_told || self.is_exiting() {
            return None;
        }
        self.stop_code(StopReason::Cancelled)
    }

    /// A call that waits for a cancellation: one that was requested already is the next thing delivered.
    pub(crate) fn await_cancellation(&mut self, call: EventSeq) {
        if self.inbox.cancelling.is_some() && !self.inbox.is_held() {
            let told = NewOutcome::new(EventKind::CancelDelivered, call);
            self.arrivals.push_outcome(told);
        } else {
            self.calls.insert(call, CallWork::Cancellation);
        }
    }

    /// Whether its code was told of a cancellation and has not ended since. A pause does not make its driver leave: it ends
    /// the execution when the window is over, also where no worker would.
    pub(crate) fn cleans_up(&self) -> bool {
        self.window_ends().is_some()
    }

    /// When code that is to be cancelled is stopped.
    pub(crate) fn window_ends(&self) -> Option<Timestamp> {
        let cancelling = self.inbox.cancelling.filter(|_| !self.is_exiting())?;
        Some(cancelling.since.after(self.rules.cancel_window))
    }

    /// The end of code that has not ended within the window.
    pub(crate) fn window_is_over(
        &mut self,
        look: LookForNews<'_>,
    ) -> Result<Option<Box<Activation>>, Stop> {
        match self.window_ends() {
            Some(ends) if self.now() >= ends => self.stop(StopReason::Cancelled, look).map(Some),
            _ => Ok(None),
        }
    }
}
