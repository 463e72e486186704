//! What has happened and is to be delivered to the code, in its order.

use std::any::Any;
use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;

use super::commands::Cancellation;
use crate::clock::Timestamp;
use crate::event::{AttemptMeta, Event, EventKind};
use crate::id::EventSeq;
use crate::payload::Payload;
use crate::replay::is_start;
use crate::store::MessageId;

/// Something to be recorded, and mostly to be delivered.
pub(crate) enum Arrival {
    /// An outcome for a call, or a wake-up.
    Outcome(Box<NewOutcome>),
    /// An arrival that is recorded already and was perhaps never delivered.
    Open(Event),
    /// An event that is recorded and not delivered.
    Note(Box<Note>),
    /// A request to cancel the execution.
    Cancel(Cancellation),
}

impl Arrival {
    pub(crate) fn is_stop(&self) -> bool {
        matches!(self, Self::Outcome(outcome) if outcome.kind == EventKind::WorkflowStopping)
    }

    /// Whether the code is made with it.
    pub(crate) fn is_start(&self) -> bool {
        match self {
            Self::Open(event) => is_start(event),
            Self::Outcome(outcome) => outcome.kind == EventKind::WorkflowStarted,
            Self::Note(_) | Self::Cancel(_) => false,
        }
    }

    /// Whether it tells the code that it is to be cancelled.
    pub(crate) fn tells_of_cancellation(&self) -> bool {
        matches!(self, Self::Outcome(outcome) if outcome.kind == EventKind::CancelDelivered)
    }

    pub(crate) fn is_cancellation(&self) -> bool {
        matches!(self, Self::Cancel(_))
    }

    /// When it was recorded, if it is.
    pub(crate) fn recorded_at(&self) -> Option<Timestamp> {
        match self {
            Self::Open(event) => Some(event.at),
            Self::Outcome(_) | Self::Note(_) | Self::Cancel(_) => None,
        }
    }

    /// Whether it lies in the inbox until it is delivered.
    pub(crate) fn came_by_message(&self) -> bool {
        match self {
            Self::Outcome(outcome) => outcome.consumed.is_some(),
            Self::Cancel(_) => true,
            Self::Open(_) | Self::Note(_) => false,
        }
    }

    /// Whether it is what a body has returned.
    pub(crate) fn is_result(&self) -> bool {
        matches!(self, Self::Outcome(outcome) if outcome.kind == EventKind::TaskCompleted)
    }

    /// Whether it says no more than that something foreign woke the code.
    pub(crate) fn is_wake_up(&self) -> bool {
        matches!(self, Self::Outcome(outcome) if outcome.kind == EventKind::Woken)
    }
}

/// An outcome for a call.
pub(crate) struct NewOutcome {
    pub(crate) kind: EventKind,
    pub(crate) call: Option<EventSeq>,
    pub(crate) name: Option<Arc<str>>,
    pub(crate) payload: Option<Payload>,
    pub(crate) meta: Option<Payload>,
    /// What was decoded from the payload already.
    pub(crate) value: Option<Box<dyn Any + Send>>,
    /// No earlier than this: a timer never fires before it is due.
    pub(crate) not_before: Option<Timestamp>,
    /// When it counts as having happened, where that is not now.
    pub(crate) exactly_at: Option<Timestamp>,
    pub(crate) consumed: Option<MessageId>,
    /// The event that recorded its value before.
    pub(crate) received: Option<EventSeq>,
}

/// An event that is not delivered.
pub(crate) struct Note {
    pub(crate) kind: EventKind,
    pub(crate) call: EventSeq,
    pub(crate) payload: Option<Payload>,
    pub(crate) meta: AttemptMeta,
}

impl NewOutcome {
    /// Its value was recorded before, by this event.
    pub(crate) fn delivered_before(mut self, received: EventSeq) -> Self {
        let meta = AttemptMeta {
            from: Some(received),
            ..AttemptMeta::default()
        };
        self.meta = Payload::encode(&meta).ok();
        self.received = Some(received);
        self
    }

    pub(crate) fn new(kind: EventKind, call: EventSeq) -> Self {
        Self {
            call: Some(call),
            ..Self::without_call(kind)
        }
    }

    /// What happens to the code as a whole.
    pub(crate) fn without_call(kind: EventKind) -> Self {
        Self {
            kind,
            call: None,
            name: None,
            payload: None,
            meta: None,
            value: None,
            not_before: None,
            exactly_at: None,
            consumed: None,
            received: None,
        }
    }
}

/// What has arrived and was not delivered yet.
#[derive(Default)]
pub(crate) struct Arrivals {
    queue: VecDeque<Arrival>,
    /// What calls were answered with in a commit that an unread command may refuse, or has refused.
    recalled: Vec<NewOutcome>,
    /// Whether such a commit was refused, and nothing was delivered since.
    is_recalled: bool,
    /// What bodies returned, while the commit that records it is under way.
    unwritten: Vec<(EventSeq, Payload)>,
}

/// What was among arrivals that were dropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Dropped {
    pub(crate) has_cancellation: bool,
    /// Something that lies in the inbox and has to be read again.
    pub(crate) has_messages: bool,
}

impl Arrivals {
    pub(crate) fn push_outcome(&mut self, outcome: NewOutcome) {
        self.queue.push_back(Arrival::Outcome(Box::new(outcome)));
    }

    /// Before everything that has arrived so far.
    pub(crate) fn push_outcome_first(&mut self, outcome: NewOutcome) {
        self.queue.push_front(Arrival::Outcome(Box::new(outcome)));
    }

    /// An arrival that is recorded already.
    pub(crate) fn push_open(&mut self, event: Event) {
        self.queue.push_back(Arrival::Open(event));
    }

    pub(crate) fn push_note(&mut self, note: Note) {
        self.queue.push_back(Arrival::Note(Box::new(note)));
    }

    pub(crate) fn put_back(&mut self, arrival: Arrival) {
        self.queue.push_front(arrival);
    }

    pub(crate) fn next(&mut self) -> Option<Arrival> {
        self.queue.pop_front()
    }

    /// The first one, if it is recorded already.
    pub(crate) fn next_open(&mut self) -> Option<Arrival> {
        self.queue
            .pop_front_if(|arrival| matches!(arrival, Arrival::Open(_)))
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    pub(crate) fn has(&self, is_such: impl Fn(&Arrival) -> bool) -> bool {
        self.queue.iter().any(is_such)
    }

    pub(crate) fn has_open(&self) -> bool {
        self.has(|arrival| matches!(arrival, Arrival::Open(_)))
    }

    pub(crate) fn first(&self) -> Option<&Arrival> {
        self.queue.front()
    }

    /// When the last of those that are recorded already was recorded.
    pub(crate) fn last_recorded_at(&self) -> Option<Timestamp> {
        let recorded = self.queue.iter().filter_map(Arrival::recorded_at);
        recorded.max()
    }

    /// The calls whose outcome is recorded already.
    pub(crate) fn answered(&self) -> BTreeSet<EventSeq> {
        let open = self.queue.iter().filter_map(|arrival| match arrival {
            Arrival::Open(event) => event.refers,
            _ => None,
        });
        open.collect()
    }

    /// Adds a request to cancel: behind everything else, or, with `goes_ahead`, behind what is recorded already.
    pub(crate) fn push_cancellation(&mut self, cancellation: Cancellation, goes_ahead: bool) {
        let place = if goes_ahead {
            let is_open = |arrival: &&Arrival| matches!(arrival, Arrival::Open(_));
            self.queue.iter().take_while(is_open).count()
        } else {
            self.queue.len()
        };
        self.queue.insert(place, Arrival::Cancel(cancellation));
    }

    pub(crate) fn take_cancellation(&mut self) -> Option<Cancellation> {
        let place = self.queue.iter().position(Arrival::is_cancellation)?;
        match self.queue.remove(place) {
            Some(Arrival::Cancel(cancellation)) => Some(cancellation),
            _ => None,
        }
    }

    /// Drops all of them.
    pub(crate) fn clear(&mut self) -> Dropped {
        let dropped = std::mem::take(&mut self.queue);
        Dropped {
            has_cancellation: dropped.iter().any(Arrival::is_cancellation),
            has_messages: dropped.iter().any(Arrival::came_by_message),
        }
    }

    /// A commit of these events is under way; with `may_be_refused`, an unread command may keep it from being written.
    pub(crate) fn begin_write(&mut self, events: &[Event], may_be_refused: bool) {
        let results = events
            .iter()
            .filter(|event| event.kind == EventKind::TaskCompleted);
        self.unwritten = results
            .filter_map(|event| Some((event.refers?, event.payload.clone()?)))
            .collect();
        if may_be_refused {
            self.recalled = answers(events);
        }
    }

    pub(crate) fn end_write(&mut self) {
        self.unwritten.clear();
        self.recalled.clear();
    }

    /// What bodies have returned and is not written.
    pub(crate) fn take_results(&mut self) -> Vec<(EventSeq, Payload)> {
        let mut results = std::mem::take(&mut self.unwritten);
        let recalled = std::mem::take(&mut self.recalled).into_iter();
        let recalled = recalled.filter(|outcome| outcome.kind == EventKind::TaskCompleted);
        results.extend(recalled.filter_map(|outcome| Some((outcome.call?, outcome.payload?))));
        let queued = self.queue.drain(..).filter_map(|arrival| match arrival {
            Arrival::Outcome(outcome) if outcome.kind == EventKind::TaskCompleted => {
                Some((outcome.call?, outcome.payload?))
            }
            _ => None,
        });
        results.extend(queued);
        results
    }

    /// What calls were answered with in a commit that was refused, or would be answered with next, and what is nowhere but
    /// here. What came by a message is read again.
    pub(crate) fn take_answers(&mut self) -> Vec<NewOutcome> {
        let mut answers = std::mem::take(&mut self.recalled);
        let queued = self.queue.drain(..).filter_map(|arrival| match arrival {
            Arrival::Outcome(outcome) if is_answer(outcome.kind) => Some(*outcome),
            _ => None,
        });
        answers.extend(queued);
        answers.retain(|outcome| outcome.consumed.is_none());
        answers
    }

    /// Keeps these answers for the calls that wait for them once the execution has been read again.
    pub(crate) fn recall(&mut self, answers: Vec<NewOutcome>) {
        self.recalled = answers;
    }

    pub(crate) fn take_recalled(&mut self) -> Vec<NewOutcome> {
        std::mem::take(&mut self.recalled)
    }

    /// From here until the next delivery, a command comes before what was recalled.
    pub(crate) fn set_recalled(&mut self) {
        self.is_recalled = true;
    }

    pub(crate) fn is_recalled(&self) -> bool {
        self.is_recalled
    }

    pub(crate) fn end_recall(&mut self) -> bool {
        std::mem::take(&mut self.is_recalled)
    }
}

/// The answers to calls that only these events record, as outcomes that can be delivered again.
fn answers(events: &[Event]) -> Vec<NewOutcome> {
    let answers = events.iter().filter(|event| is_answer(event.kind));
    answers
        .filter_map(|event| {
            let mut outcome = NewOutcome::new(event.kind, event.refers?);
            outcome.name.clone_from(&event.name);
            outcome.payload.clone_from(&event.payload);
            outcome.meta.clone_from(&event.meta);
            Some(outcome)
        })
        .collect()
}

/// Whether it answers a call with a value that exists only in memory until it is written.
fn is_answer(kind: EventKind) -> bool {
    matches!(
        kind,
        EventKind::TaskCompleted | EventKind::TaskFailed | EventKind::PauseAnswered
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn completed(call: u32, value: &str) -> NewOutcome {
        let mut outcome = NewOutcome::new(EventKind::TaskCompleted, EventSeq::new(call));
        outcome.payload = Some(Payload::from_json(value.to_owned()));
        outcome
    }

    fn cancellation() -> Cancellation {
        Cancellation {
            message: MessageId(1),
            is_by_parent: false,
        }
    }

    fn event(seq: u32, kind: EventKind) -> Event {
        Event {
            seq: EventSeq::new(seq),
            at: Timestamp::from_micros(i64::from(seq)),
            kind,
            refers: None,
            name: None,
            payload: None,
            meta: None,
        }
    }

    #[test]
    fn a_cancellation_comes_last_unless_it_was_put_off_too_often_and_never_before_what_is_recorded()
    {
        for (goes_ahead, place) in [(false, 2), (true, 1)] {
            let mut arrivals = Arrivals::default();
            arrivals.push_open(event(1, EventKind::WorkflowStarted));
            arrivals.push_outcome(completed(2, "1"));
            arrivals.push_cancellation(cancellation(), goes_ahead);
            let order = std::iter::from_fn(|| arrivals.next());
            let found = order.collect::<Vec<_>>();
            assert!(found[place].is_cancellation(), "{goes_ahead}");
        }
    }

    #[test]
    fn what_bodies_returned_is_kept_however_far_its_commit_has_come() {
        let mut arrivals = Arrivals::default();
        let written = Event {
            refers: Some(EventSeq::new(2)),
            payload: Some(Payload::from_json("1".to_owned())),
            ..event(5, EventKind::TaskCompleted)
        };
        arrivals.begin_write(&[written], false);
        arrivals.push_outcome(completed(3, "2"));
        let results = arrivals.take_results();
        let calls: Vec<_> = results.iter().map(|(call, _)| call.get()).collect();
        assert_eq!(calls, [2, 3]);
        arrivals.end_write();
        assert!(arrivals.take_results().is_empty());
    }

    #[test]
    fn an_answer_that_came_by_message_is_not_recalled_since_it_is_read_again() {
        let mut arrivals = Arrivals::default();
        let mut answered = NewOutcome::new(EventKind::PauseAnswered, EventSeq::new(4));
        answered.consumed = Some(MessageId(9));
        arrivals.push_outcome(answered);
        arrivals.push_outcome(completed(2, "1"));
        let answers = arrivals.take_answers();
        let calls: Vec<_> = answers.iter().filter_map(|outcome| outcome.call).collect();
        assert_eq!(calls, [EventSeq::new(2)]);
    }

    #[test]
    fn what_is_dropped_tells_whether_the_inbox_has_to_be_read_again() {
        let mut arrivals = Arrivals::default();
        arrivals.push_outcome(completed(2, "1"));
        let nothing = Dropped {
            has_cancellation: false,
            has_messages: false,
        };
        assert_eq!(arrivals.clear(), nothing);
        arrivals.push_cancellation(cancellation(), false);
        let dropped = arrivals.clear();
        assert!(dropped.has_cancellation && dropped.has_messages);
    }
}
