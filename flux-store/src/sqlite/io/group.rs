//! Group commit: many members, one transaction, one flush.
//!
//! ```text
//! BEGIN IMMEDIATE ─> each member checks and writes ─> COMMIT ─> each member is answered
//!        │                       │                       │
//!        │                       ├ a member's own fault: roll back, again with a savepoint per member
//!        │                       └ a user ended the transaction: roll back, again, that member refused
//!        └ busy, I/O: all fail, nothing is written; disk full: again, one by one
//! ```
//!
//! A member that is refused (fenced, exists, held) has found so by reading and writes nothing; it
//! rides along.

use std::sync::Arc;

use flux_core::store::StoreError;
use rusqlite::{Connection, ErrorCode};

use super::connection::Db;
use crate::sqlite::error::{Blame, breaks_connection, is_busy, is_own_fault};

/// One who writes in a group.
pub(crate) trait Member: Send {
    /// Checks and writes, inside the open transaction. May be called again after a rollback.
    fn run(&mut self, db: &Db) -> Result<(), Fault>;

    /// Whether what it wrote is in the file; `None` when it cannot tell.
    fn is_written(&self, _connection: &Connection) -> rusqlite::Result<Option<bool>> {
        Ok(None)
    }

    /// Tells whoever waits.
    fn answer(self: Box<Self>, outcome: Outcome);
}

/// Why a member could not write.
pub(crate) enum Fault {
    /// SQLite refused.
    Sqlite(rusqlite::Error),
    /// A user's statements ended the transaction. The member knows, and refuses them next time.
    TransactionEnded,
}

impl From<rusqlite::Error> for Fault {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sqlite(error)
    }
}

/// What came of a member.
#[derive(Clone)]
pub(crate) enum Outcome {
    /// What it wrote is durable.
    Done,
    /// Nothing of it was written.
    Failed(StoreError),
    /// It cannot be told.
    Unknown(StoreError),
}

impl Outcome {
    pub(crate) fn may_be_written(&self) -> bool {
        matches!(self, Self::Done | Self::Unknown(_))
    }
}

/// A group that has been through its transaction and waits to be answered.
pub(crate) struct Settled {
    seats: Vec<Seat>,
    /// Whether the connection had better be opened anew.
    pub(crate) broken: bool,
}

struct Seat {
    member: Box<dyn Member>,
    /// What came of it, once that is known.
    outcome: Option<Outcome>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Care {
    /// Nothing is expected to fail.
    Plain,
    /// A savepoint around each member.
    Savepoints,
}

enum Attempt {
    Committed,
    Again(Care),
    Failed(Arc<rusqlite::Error>),
    /// COMMIT itself reported an error.
    Doubtful(Arc<rusqlite::Error>),
}

const ACTION: &str = "write";

/// Takes the lock on writing at once: a transaction that began by reading could not wait for it.
pub(crate) const BEGIN: &str = "BEGIN IMMEDIATE";

/// Takes a group through one transaction.
pub(crate) fn settle(db: &Db, members: Vec<Box<dyn Member>>, blame: &Blame) -> Settled {
    let mut seats = seats(members);
    let broken = match settle_together(db, &mut seats, blame) {
        Some(error) if is_full(&error) && seats.len() > 1 => {
            // What is too large for the disk together, or one that is, may leave room for others.
            for seat in &mut seats {
                settle_together(db, std::slice::from_mut(seat), blame);
            }
            false
        }
        Some(error) => breaks_connection(&error),
        None => false,
    };
    Settled { seats, broken }
}

/// The settled group of which nothing was tried.
pub(crate) fn fail(members: Vec<Box<dyn Member>>, error: &StoreError, broken: bool) -> Settled {
    let mut seats = seats(members);
    decide(&mut seats, &Outcome::Failed(error.clone()));
    Settled { seats, broken }
}

impl Settled {
    /// Answers every member.
    pub(crate) fn answer(self) {
        for Seat { member, outcome } in self.seats {
            // A seat without an outcome is one that `settle` forgot; silence would be a hang.
            member.answer(outcome.expect("every seat of a settled group is decided"));
        }
    }
}

fn seats(members: Vec<Box<dyn Member>>) -> Vec<Seat> {
    let seat = |member| Seat {
        member,
        outcome: None,
    };
    members.into_iter().map(seat).collect()
}

/// Gives every seat that has no outcome of its own this one.
fn decide(seats: &mut [Seat], outcome: &Outcome) {
    for seat in seats {
        seat.outcome.get_or_insert_with(|| outcome.clone());
    }
}

/// Decides all seats by one transaction; returns the error that failed it, if one did.
fn settle_together(db: &Db, seats: &mut [Seat], blame: &Blame) -> Option<Arc<rusqlite::Error>> {
    let connection = &db.connection;
    for seat in seats.iter_mut() {
        seat.outcome = None;
    }
    let mut care = Care::Plain;
    let (outcome, error) = loop {
        match attempt(db, seats, care, blame) {
            Attempt::Committed => break (Outcome::Done, None),
            Attempt::Again(next) => care = next,
            Attempt::Failed(error) => {
                roll_back(connection);
                let failed = Outcome::Failed(blame.sqlite(ACTION, Arc::clone(&error)));
                break (failed, Some(error));
            }
            Attempt::Doubtful(error) => {
                let rolled_back = !connection.is_autocommit() && roll_back(connection);
                let outcome = resolve(connection, seats, rolled_back, &error, blame);
                break (outcome, Some(error));
            }
        }
    };
    decide(seats, &outcome);
    error
}

fn attempt(db: &Db, seats: &mut [Seat], care: Care, blame: &Blame) -> Attempt {
    let connection = &db.connection;
    if let Err(error) = begin(connection).and_then(|()| db.check_tables()) {
        return Attempt::Failed(error.into());
    }
    for seat in seats.iter_mut().filter(|seat| seat.outcome.is_none()) {
        let ran = match care {
            Care::Plain => seat.member.run(db),
            Care::Savepoints => run_in_savepoint(seat.member.as_mut(), db),
        };
        match ran {
            Ok(()) => {}
            Err(Fault::TransactionEnded) => return Attempt::Again(care),
            Err(Fault::Sqlite(error)) if !is_own_fault(&error) => {
                return Attempt::Failed(error.into());
            }
            Err(Fault::Sqlite(_)) if care == Care::Plain => {
                return Attempt::Again(Care::Savepoints);
            }
            Err(Fault::Sqlite(error)) => {
                seat.outcome = Some(Outcome::Failed(blame.sqlite(ACTION, error)));
                if connection.is_autocommit() {
                    // The error has rolled everybody back.
                    return Attempt::Again(care);
                }
            }
        }
    }
    match run(connection, "COMMIT") {
        Ok(()) => Attempt::Committed,
        Err(error) => Attempt::Doubtful(error.into()),
    }
}

fn begin(connection: &Connection) -> rusqlite::Result<()> {
    if !connection.is_autocommit() {
        roll_back(connection);
    }
    run(connection, BEGIN)
}

fn run_in_savepoint(member: &mut dyn Member, db: &Db) -> Result<(), Fault> {
    let connection = &db.connection;
    run(connection, "SAVEPOINT flux_member")?;
    let ran = member.run(db);
    if connection.is_autocommit() || matches!(ran, Err(Fault::TransactionEnded)) {
        // The savepoint is gone.
        return ran;
    }
    if ran.is_err() {
        run(connection, "ROLLBACK TO flux_member")?;
    }
    run(connection, "RELEASE flux_member")?;
    ran
}

/// Finds out what a COMMIT did that reported an error. The group is one transaction: what can be
/// told of one member holds for all.
fn resolve(
    connection: &Connection,
    seats: &[Seat],
    rolled_back: bool,
    error: &Arc<rusqlite::Error>,
    blame: &Blame,
) -> Outcome {
    let reported = blame.sqlite(ACTION, Arc::clone(error));
    if rolled_back || is_full(error) || is_busy(error) {
        return Outcome::Failed(reported);
    }
    for seat in seats.iter().filter(|seat| seat.outcome.is_none()) {
        match seat.member.is_written(connection) {
            Ok(Some(true)) => return Outcome::Done,
            Ok(Some(false)) => return Outcome::Failed(reported),
            Ok(None) => {}
            Err(_) => break,
        }
    }
    Outcome::Unknown(reported)
}

fn is_full(error: &rusqlite::Error) -> bool {
    error.sqlite_error_code() == Some(ErrorCode::DiskFull)
}

/// Rolls back; false when SQLite had done so itself or could not.
fn roll_back(connection: &Connection) -> bool {
    run(connection, "ROLLBACK").is_ok()
}

/// Runs a statement that returns nothing, compiled once per connection.
pub(crate) fn run(connection: &Connection, statement: &str) -> rusqlite::Result<()> {
    connection.prepare_cached(statement)?.execute([]).map(drop)
}

#[cfg(test)]
mod tests;
