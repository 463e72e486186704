//! Group commit: many members, one transaction, one flush.
//!
//! ```text
//! BEGIN IMMEDIATE ─> each member checks and writes ─> COMMIT ─> each member is answered
//!        │                       │                       │
//!        │                       ├ a member's own fault: roll back, again with a savepoint per member
//!        │                       └ a user ended the transaction: roll back, again, that member refused
//!        └ busy, disk full, I/O: all fail, nothing is written
//! ```
//!
//! A member that is refused (fenced, exists, held) has found so by reading and writes nothing; it
//! rides along.

use flux_core::store::StoreError;
use rusqlite::{Connection, ErrorCode};

use super::connection::Lane;
use super::error::{Blame, breaks_connection, is_own_fault};

/// One who writes in a group.
pub(super) trait Member: Send {
    /// Checks and writes, inside the open transaction. May be called again after a rollback.
    fn run(&mut self, lane: &Lane) -> Result<(), Fault>;

    /// Whether what it wrote is in the file; `None` when it cannot tell.
    fn is_written(&self, _connection: &Connection) -> rusqlite::Result<Option<bool>> {
        Ok(None)
    }

    /// Tells whoever waits.
    fn answer(self: Box<Self>, outcome: Outcome);
}

/// Why a member could not write.
pub(super) enum Fault {
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
pub(super) enum Outcome {
    /// What it wrote is durable.
    Done,
    /// Nothing of it was written.
    Failed(StoreError),
    /// It cannot be told.
    Unknown(StoreError),
}

/// A group that has been through its transaction and waits to be answered.
pub(super) struct Settled {
    seats: Vec<Seat>,
    outcome: Outcome,
    /// Whether the connection had better be opened anew.
    pub(super) broken: bool,
}

struct Seat {
    member: Box<dyn Member>,
    fault: Option<StoreError>,
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
    Failed(rusqlite::Error),
    /// COMMIT itself reported an error.
    Doubtful(rusqlite::Error),
}

const ACTION: &str = "write";

/// Takes a group through one transaction.
pub(super) fn settle(lane: &Lane, members: Vec<Box<dyn Member>>, blame: &Blame) -> Settled {
    let mut seats: Vec<Seat> = members
        .into_iter()
        .map(|member| Seat {
            member,
            fault: None,
        })
        .collect();
    let mut care = Care::Plain;
    loop {
        let (outcome, broken) = match attempt(lane, &mut seats, care, blame) {
            Attempt::Committed => (Outcome::Done, false),
            Attempt::Again(next) => {
                care = next;
                continue;
            }
            Attempt::Failed(error) => {
                roll_back(&lane.connection);
                let broken = breaks_connection(&error);
                (Outcome::Failed(blame.sqlite(ACTION, error)), broken)
            }
            Attempt::Doubtful(error) => {
                let rolled_back = !lane.connection.is_autocommit() && roll_back(&lane.connection);
                let broken = breaks_connection(&error);
                (
                    resolve(&lane.connection, &seats, rolled_back, error, blame),
                    broken,
                )
            }
        };
        return Settled {
            seats,
            outcome,
            broken,
        };
    }
}

/// The settled group of a connection that could not even be opened.
pub(super) fn fail(members: Vec<Box<dyn Member>>, error: StoreError) -> Settled {
    let seats = members
        .into_iter()
        .map(|member| Seat {
            member,
            fault: None,
        })
        .collect();
    Settled {
        seats,
        outcome: Outcome::Failed(error),
        broken: true,
    }
}

impl Settled {
    /// Answers every member.
    pub(super) fn answer(self) {
        for Seat { member, fault } in self.seats {
            member.answer(fault.map_or_else(|| self.outcome.clone(), Outcome::Failed));
        }
    }
}

fn attempt(lane: &Lane, seats: &mut [Seat], care: Care, blame: &Blame) -> Attempt {
    let connection = &lane.connection;
    if !connection.is_autocommit() {
        roll_back(connection);
    }
    if let Err(error) = run(connection, "BEGIN IMMEDIATE") {
        return Attempt::Failed(error);
    }
    for seat in seats.iter_mut().filter(|seat| seat.fault.is_none()) {
        let ran = match care {
            Care::Plain => seat.member.run(lane),
            Care::Savepoints => run_in_savepoint(seat.member.as_mut(), lane),
        };
        match ran {
            Ok(()) => {}
            Err(Fault::TransactionEnded) => return Attempt::Again(care),
            Err(Fault::Sqlite(error)) if !is_own_fault(&error) => return Attempt::Failed(error),
            Err(Fault::Sqlite(_)) if care == Care::Plain => {
                return Attempt::Again(Care::Savepoints);
            }
            Err(Fault::Sqlite(error)) => {
                seat.fault = Some(blame.sqlite(ACTION, error));
                if connection.is_autocommit() {
                    // The error has rolled everybody back.
                    return Attempt::Again(care);
                }
            }
        }
    }
    match run(connection, "COMMIT") {
        Ok(()) => Attempt::Committed,
        Err(error) => Attempt::Doubtful(error),
    }
}

fn run_in_savepoint(member: &mut dyn Member, lane: &Lane) -> Result<(), Fault> {
    let connection = &lane.connection;
    run(connection, "SAVEPOINT flux_member")?;
    let ran = member.run(lane);
    if connection.is_autocommit() {
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
    error: rusqlite::Error,
    blame: &Blame,
) -> Outcome {
    let certainly_not = rolled_back
        || matches!(
            error.sqlite_error_code(),
            Some(ErrorCode::DiskFull | ErrorCode::DatabaseBusy)
        );
    let error = blame.sqlite(ACTION, error);
    if certainly_not {
        return Outcome::Failed(error);
    }
    for seat in seats.iter().filter(|seat| seat.fault.is_none()) {
        match seat.member.is_written(connection) {
            Ok(Some(true)) => return Outcome::Done,
            Ok(Some(false)) => return Outcome::Failed(error),
            Ok(None) => {}
            Err(_) => break,
        }
    }
    Outcome::Unknown(error)
}

/// Rolls back; false when SQLite had done so itself or could not.
fn roll_back(connection: &Connection) -> bool {
    run(connection, "ROLLBACK").is_ok()
}

/// Runs a statement that returns nothing, compiled once per connection.
pub(super) fn run(connection: &Connection, statement: &str) -> rusqlite::Result<()> {
    connection.prepare_cached(statement)?.execute([]).map(drop)
}
