//! A write that is no commit: a claim, a message, a registration.

use std::sync::Arc;

use flux_core::store::StoreError;
use rusqlite::Connection;
use tokio::sync::{Notify, oneshot};

use super::connection::Lane;
use super::group::{Fault, Member, Outcome};

/// A write that is no commit.
pub(super) struct Write<T, F> {
    action: &'static str,
    body: F,
    found: Option<T>,
    news: Option<News<T>>,
    reply: oneshot::Sender<Result<T, StoreError>>,
}

/// Whom a write wakes once it is in the file. The write does so itself, because its caller may have been dropped before it
/// was written.
pub(super) struct News<T> {
    pub(super) bell: Arc<Notify>,
    pub(super) is_news: fn(&T) -> bool,
}

impl<T, F> Write<T, F> {
    pub(super) fn new(
        action: &'static str,
        body: F,
        news: Option<News<T>>,
        reply: oneshot::Sender<Result<T, StoreError>>,
    ) -> Self {
        Self {
            action,
            body,
            found: None,
            news,
            reply,
        }
    }
}

impl<T, F> Member for Write<T, F>
where
    T: Send,
    F: FnMut(&Connection) -> rusqlite::Result<T> + Send,
{
    fn run(&mut self, lane: &Lane) -> Result<(), Fault> {
        self.found = Some((self.body)(&lane.connection)?);
        Ok(())
    }

    fn answer(self: Box<Self>, outcome: Outcome) {
        let Self {
            action,
            found,
            news,
            reply,
            ..
        } = *self;
        if let (Some(news), Some(found)) = (&news, &found)
            && outcome.may_be_written()
            && (news.is_news)(found)
        {
            news.bell.notify_waiters();
        }
        let answer = match (outcome, found) {
            (Outcome::Done, Some(found)) => Ok(found),
            (Outcome::Failed(error) | Outcome::Unknown(error), _) => Err(StoreError {
                action: action.to_owned(),
                ..error
            }),
            // A group that is done has run its members.
            (Outcome::Done, None) => return,
        };
        let _ = reply.send(answer);
    }
}
