//! What was read in the inbox, and the commands that stand because of it.
//!
//! ```text
//!   store ──► message ──┬─ a signal: kept here until a call takes it
//!                       ├─ a pause, a termination: stands here until it is carried out, or taken back
//!                       └─ anything else: for the calls that it is meant for (Heard)
//! ```
//!
//! A message is consumed with the commit that makes it part of the history, or as soon as nothing can come of it.

use std::sync::Arc;

use super::commands::{Cancellation, Cancelling, Termination};
use super::values::Values;
use crate::error::Error;
use crate::store::{Message, MessageId, MessageKind};

/// A message that is meant for calls of the code.
#[derive(Debug)]
pub(crate) enum Heard {
    /// A child that others drive waits for a `resume`.
    ChildPaused(Message),
    /// The last word of a child.
    ChildEnded(Message),
    /// The execution is to be cancelled.
    Cancel(Cancellation),
    /// A pause point is answered, or the execution is to go on.
    Resume(Message),
}

/// Messages that were read, and what they ask for.
#[derive(Default)]
pub(crate) struct Inbox {
    /// The newest message that was read.
    last: Option<MessageId>,
    /// Whether there may be a newer one.
    has_news: bool,
    /// Messages that the next commit consumes, whatever it is.
    over: Vec<MessageId>,
    pub(crate) values: Values,
    /// Why the execution is to be kept from going on.
    hold: Option<Arc<str>>,
    /// The messages that asked for that.
    hold_messages: Vec<MessageId>,
    termination: Option<Termination>,
    /// The request to cancel that is noted.
    pub(crate) cancelling: Option<Cancelling>,
    /// So often has a request to cancel been put off because the code began again.
    pub(crate) passed_over: u8,
    pub(crate) answer: Answering,
}

/// What a `resume` wanted that has claimed the execution.
#[derive(Debug, Default)]
pub(crate) struct Answering {
    /// Whether it named its pause point, or gave a value for it.
    pub(crate) is_named: bool,
    /// Its pause point was dropped before the answer could be delivered.
    pub(crate) lost: Option<Error>,
}

impl Inbox {
    /// There may be something new.
    pub(crate) fn expect_news(&mut self) {
        self.has_news = true;
    }

    /// Whether there may be something new; asked once.
    pub(crate) fn take_news(&mut self) -> bool {
        std::mem::take(&mut self.has_news)
    }

    pub(crate) fn may_have_news(&self) -> bool {
        self.has_news
    }

    pub(crate) fn last(&self) -> Option<MessageId> {
        self.last
    }

    /// Messages after this one are read again.
    pub(crate) fn read_after(&mut self, last: Option<MessageId>) {
        self.last = last;
    }

    /// Takes a message in.
    pub(crate) fn receive(&mut self, message: Message) -> Option<Heard> {
        self.last = Some(message.id);
        match message.kind {
            MessageKind::Signal => self.values.receive(message),
            MessageKind::Pause => self.receive_hold(&message),
            MessageKind::Terminate => {
                self.termination.get_or_insert(Termination::of(message));
            }
            // It stays in the inbox, for whoever recovers the execution: its parent will not.
            MessageKind::Abandon => {}
            MessageKind::ChildPaused => return Some(Heard::ChildPaused(message)),
            MessageKind::ChildEnded => return Some(Heard::ChildEnded(message)),
            MessageKind::Cancel => return Some(Heard::Cancel(Cancellation::of(&message))),
            MessageKind::Resume => return Some(Heard::Resume(message)),
        }
        None
    }

    /// A pause was requested. It counts in every phase, until a later command takes it back.
    fn receive_hold(&mut self, message: &Message) {
        let reason = message.payload.decode();
        let reason = reason.unwrap_or_else(|_| Arc::from("paused"));
        self.hold = Some(reason);
        self.hold_messages.push(message.id);
    }

    pub(crate) fn is_held(&self) -> bool {
        self.hold.is_some()
    }

    /// Why the execution is to be kept from going on.
    pub(crate) fn hold(&self) -> Option<&Arc<str>> {
        self.hold.as_ref()
    }

    /// A command came after the pause that takes it back; whether there was one.
    pub(crate) fn lift_hold(&mut self) -> bool {
        self.over.append(&mut self.hold_messages);
        self.hold.take().is_some()
    }

    pub(crate) fn take_termination(&mut self) -> Option<Termination> {
        self.termination.take()
    }

    /// Nothing more can come of a message.
    pub(crate) fn done_with(&mut self, message: MessageId) {
        self.over.push(message);
    }

    /// Whether messages are to be consumed, if by a commit of their own.
    pub(crate) fn has_consumed(&self) -> bool {
        !self.over.is_empty()
    }

    /// What the next commit consumes; with `ends_hold`, also what asked for a pause.
    pub(crate) fn take_consumed(&mut self, ends_hold: bool) -> Vec<MessageId> {
        let mut consumed = std::mem::take(&mut self.over);
        if ends_hold {
            consumed.append(&mut self.hold_messages);
        }
        consumed
    }

    /// Everything in it is read again.
    pub(crate) fn forget(&mut self) {
        self.values.forget_inbox();
        self.last = None;
        self.has_news = true;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Timestamp;
    use crate::payload::Payload;

    fn message(id: i64, kind: MessageKind, payload: &str) -> Message {
        Message {
            id: MessageId(id),
            kind,
            name: "n".into(),
            payload: Payload::from_json(payload.to_owned()),
            at: Timestamp::from_micros(0),
        }
    }

    #[test]
    fn a_pause_stands_until_a_later_command_takes_it_back_and_is_consumed_then() {
        let mut inbox = Inbox::default();
        assert!(
            inbox
                .receive(message(1, MessageKind::Pause, r#""audit""#))
                .is_none()
        );
        assert_eq!(inbox.hold().map(|why| &**why), Some("audit"));
        assert!(inbox.take_consumed(false).is_empty(), "it stands");
        assert!(inbox.lift_hold());
        assert!(!inbox.is_held());
        assert_eq!(inbox.take_consumed(false), [MessageId(1)]);
    }

    #[test]
    fn a_pause_is_consumed_by_the_commit_that_carries_it_out() {
        let mut inbox = Inbox::default();
        inbox.receive(message(1, MessageKind::Pause, "null"));
        inbox.done_with(MessageId(9));
        assert_eq!(inbox.take_consumed(true), [MessageId(9), MessageId(1)]);
        assert!(!inbox.has_consumed());
    }

    #[test]
    fn the_first_of_two_terminations_counts() {
        let mut inbox = Inbox::default();
        inbox.receive(message(1, MessageKind::Terminate, r#""first""#));
        inbox.receive(message(2, MessageKind::Terminate, r#""second""#));
        let termination = inbox.take_termination().expect("two were asked for");
        assert_eq!(termination.message, MessageId(1));
        assert!(inbox.take_termination().is_none());
    }

    #[test]
    fn what_is_forgotten_is_read_again_from_the_beginning() {
        let mut inbox = Inbox::default();
        inbox.receive(message(7, MessageKind::Signal, "1"));
        assert_eq!(inbox.last(), Some(MessageId(7)));
        inbox.forget();
        assert!(inbox.take_news());
        assert_eq!(inbox.last(), None);
    }
}
