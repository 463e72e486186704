//! One commit as a member of a group.

use std::sync::Arc;
use std::time::{Duration, Instant};

use flux_core::event::Event;
use flux_core::id::ExecutionKey;
use flux_core::payload::Payload;
use flux_core::store::{
    Change, Commit, CommitError, Committed, NewChild, NewExecution, StoreError, Target, Transaction,
};
use rusqlite::Connection;
use tokio::sync::{Notify, oneshot};

use super::claim::gate;
use super::error::Blame;
use super::io::connection::Db;
use super::io::group::{Fault, Member, Outcome, run};
use super::table::execution;
use super::table::history;
use super::table::inbox;
use super::table::published;

/// A user's statements hold up everybody else; longer than this is worth a warning.
const SLOW: Duration = Duration::from_secs(1);

/// What a commit does, in errors.
pub(super) const APPEND: &str = "append events";

/// A commit on its way to the file.
pub(super) struct CommitMember {
    pub(super) commit: Commit,
    pub(super) blame: Blame,
    /// Set when the user's statements have tried to end the transaction: what is recorded instead.
    pub(super) refusal: Option<Payload>,
    /// What `run` found; it counts once the group is committed.
    pub(super) found: Result<Committed, CommitError>,
    /// Rung once the messages that it posts are in the file, if its caller has left by then.
    pub(super) bell: Arc<Notify>,
    pub(super) reply: oneshot::Sender<Result<Committed, CommitError>>,
}

impl CommitMember {
    /// Decides by reading alone; `Err` inside when the commit is refused.
    fn check(&self, connection: &Connection) -> rusqlite::Result<Result<(), CommitError>> {
        let last = match &self.commit.target {
            Target::New(new) => match creation_refused(connection, new)? {
                Some(refusal) => return Ok(Err(refusal)),
                None => None,
            },
            Target::Existing { key, epoch } => match execution::standing(connection, *key)? {
                Some(standing) if standing.epoch == *epoch => {
                    if let Some(refusal) = self.reopening_refused(connection, *key)? {
                        return Ok(Err(refusal));
                    }
                    if let Some(heeds) = &self.commit.heeds
                        && inbox::has_unread(connection, *key, heeds)?
                    {
                        return Ok(Err(CommitError::Unread));
                    }
                    standing.last
                }
                _ => return Ok(Err(CommitError::Fenced)),
            },
        };
        Ok(self.commit.check_numbers(last, self.blame.store()))
    }

    /// One that has finished and is to go on has to find room in its gate, as any other.
    fn reopening_refused(
        &self,
        connection: &Connection,
        key: ExecutionKey,
    ) -> rusqlite::Result<Option<CommitError>> {
        let reopens = |change: &Change| !change.status.is_finished();
        match &self.commit.change {
            Some(change) if reopens(change) => gate::reopening_refused(connection, key),
            _ => Ok(None),
        }
    }

    fn write(&self, db: &Db) -> Result<Committed, Fault> {
        let (commit, connection) = (&self.commit, &db.connection);
        let key = match &commit.target {
            Target::New(new) => execution::create(connection, new)?,
            Target::Existing { key, .. } => *key,
        };
        history::append(connection, key, &commit.events)?;
        let children = commit.children.iter();
        let children = children.map(|child| create_child(connection, child));
        let children = children.collect::<rusqlite::Result<_>>()?;
        inbox::consume(connection, key, &commit.consumed)?;
        if let Some(change) = &commit.change {
            execution::change(connection, key, change)?;
        }
        published::replace(connection, key, &commit.published)?;
        for (to, message) in &commit.outbox {
            if !message.kind.is_order_to_child() || execution::is_child(connection, to, key)? {
                // Those that do not exist or have finished are passed over.
                inbox::post(connection, to, message)?;
            }
        }
        let transaction = match &commit.transaction {
            Some(transaction) => Some(self.transact(transaction, key, db)?),
            None => None,
        };
        Ok(Committed {
            key,
            transaction,
            children,
        })
    }

    /// Runs the user's statements, undoes them if they fail, and records which it was.
    fn transact(
        &self,
        transaction: &Transaction,
        key: ExecutionKey,
        db: &Db,
    ) -> Result<Event, Fault> {
        let outcome = match &self.refusal {
            Some(refusal) => Err(refusal.clone()),
            None => run_statements(transaction, db)?,
        };
        let event = transaction.event(outcome);
        history::append(&db.connection, key, [&event])?;
        Ok(event)
    }
}

/// Creates a child, unless it is refused.
fn create_child(
    connection: &Connection,
    child: &NewChild,
) -> rusqlite::Result<Result<ExecutionKey, CommitError>> {
    if let Some(refusal) = creation_refused(connection, &child.new)? {
        return Ok(Err(refusal));
    }
    let key = execution::create(connection, &child.new)?;
    history::append(connection, key, [&child.start])?;
    Ok(Ok(key))
}

fn creation_refused(
    connection: &Connection,
    new: &NewExecution,
) -> rusqlite::Result<Option<CommitError>> {
    if execution::exists(connection, &new.id)? {
        return Ok(Some(CommitError::Exists));
    }
    gate::refusal(connection, new)
}

impl Member for CommitMember {
    fn run(&mut self, db: &Db) -> Result<(), Fault> {
        self.found = match self.check(&db.connection)? {
            Err(refused) => Err(refused),
            Ok(()) => match self.write(db) {
                Ok(committed) => Ok(committed),
                Err(fault) => {
                    if matches!(fault, Fault::TransactionEnded) {
                        self.refusal = Some(Transaction::refusal(
                            "the statements ended the transaction that they run in: leave out \
                             BEGIN, COMMIT, ROLLBACK and RELEASE",
                        ));
                    }
                    return Err(fault);
                }
            },
        };
        Ok(())
    }

    fn is_written(&self, connection: &Connection) -> rusqlite::Result<Option<bool>> {
        let Ok(committed) = &self.found else {
            return Ok(None);
        };
        let Some(event) = committed.transaction.as_ref().or(self.commit.events.last()) else {
            return Ok(None);
        };
        let key = match &self.commit.target {
            Target::Existing { key, .. } => *key,
            Target::New(new) => match execution::find(connection, &new.id)? {
                Some(record) => record.key,
                None => return Ok(Some(false)),
            },
        };
        let found = history::page(connection, key, event.seq, 1)?;
        Ok(Some(found.first() == Some(event)))
    }

    fn answer(self: Box<Self>, outcome: Outcome) {
        let posts = self.found.is_ok() && !self.commit.outbox.is_empty();
        let is_news = posts && outcome.may_be_written();
        let answer = match outcome {
            Outcome::Done => self.found,
            Outcome::Failed(error) => Err(CommitError::Failed(named(error))),
            Outcome::Unknown(error) => Err(CommitError::Unknown(named(error))),
        };
        // A commit whose caller has left counts as any other.
        if self.reply.send(answer).is_err() && is_news {
            self.bell.notify_waiters();
        }
    }
}

/// Runs the user's statements; what they did stays or is undone as they say.
fn run_statements(transaction: &Transaction, db: &Db) -> Result<Result<Payload, Payload>, Fault> {
    let connection = &db.connection;
    run(connection, "SAVEPOINT flux_transaction")?;
    let began = Instant::now();
    db.fence.raise();
    let outcome = transaction.attempt(connection);
    let ended = db.fence.lower();
    if began.elapsed() > SLOW {
        let name = transaction.completed.name.as_deref().unwrap_or_default();
        tracing::warn!(name, elapsed = ?began.elapsed(), "a transaction holds up every other commit");
    }
    if ended || connection.is_autocommit() {
        return Err(Fault::TransactionEnded);
    }
    if outcome.is_err() && run(connection, "ROLLBACK TO flux_transaction").is_err() {
        return Err(Fault::TransactionEnded);
    }
    if run(connection, "RELEASE flux_transaction").is_err() {
        return Err(Fault::TransactionEnded);
    }
    Ok(outcome)
}

fn named(error: StoreError) -> StoreError {
    StoreError {
        action: APPEND.to_owned(),
        ..error
    }
}
