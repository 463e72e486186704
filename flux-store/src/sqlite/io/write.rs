//! A write that is no commit: a claim, a message, a registration.

use std::sync::Arc;

use flux_core::store::StoreError;
use rusqlite::Connection;
use tokio::sync::{Notify, oneshot};

use super::connection::Db;
use super::group::{Fault, Member, Outcome};

/// A write that is no commit.
pub(crate) struct Write<T, F> {
    action: &'static str,
    body: F,
    found: Option<T>,
    /// Rung once it is in the file, if its caller, who would ring it, has left by then.
    bell: Option<Arc<Notify>>,
    reply: oneshot::Sender<Result<T, StoreError>>,
}

impl<T, F> Write<T, F> {
    pub(crate) fn new(
        action: &'static str,
        body: F,
        bell: Option<Arc<Notify>>,
        reply: oneshot::Sender<Result<T, StoreError>>,
    ) -> Self {
        Self {
            action,
            body,
            found: None,
            bell,
            reply,
        }
    }
}

impl<T, F> Member for Write<T, F>
where
    T: Send,
    F: FnMut(&Connection) -> rusqlite::Result<T> + Send,
{
    fn run(&mut self, db: &Db) -> Result<(), Fault> {
        self.found = Some((self.body)(&db.connection)?);
        Ok(())
    }

    fn answer(self: Box<Self>, outcome: Outcome) {
        let Self {
            action,
            found,
            bell,
            reply,
            ..
        } = *self;
        let may_be_written = outcome.may_be_written();
        let answer = match (outcome, found) {
            (Outcome::Done, Some(found)) => Ok(found),
            (Outcome::Failed(error) | Outcome::Unknown(error), _) => Err(StoreError {
                action: action.to_owned(),
                ..error
            }),
            // A group that is done has run its members.
            (Outcome::Done, None) => return,
        };
        if reply.send(answer).is_err()
            && let Some(bell) = bell.filter(|_| may_be_written)
        {
            bell.notify_waiters();
        }
    }
}
