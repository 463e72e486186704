//! Reads: short statements on a few connections of their own, never behind a commit.
//!
//! A read of a row or a small page takes 3 to 40 µs, as long as any task may compute between two
//! awaits, so it runs where it is asked for: to hand it to another thread would cost as much again.
//! A long page makes room for the other tasks first, where the runtime has workers to do so.

use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use rusqlite::Connection;

use super::caller_thread::CallerThread;
use super::connection::open_reader;
use crate::sqlite::error::breaks_connection;
use crate::sqlite::file::presence::Presence;
use crate::sync::lock;

/// The most connections that read at once.
pub(crate) const MOST: usize = 4;
/// Reads of more rows than this may take long.
const FEW: usize = 100;

/// Lends connections that read.
pub(crate) struct Readers {
    file: PathBuf,
    presence: Arc<Presence>,
    idle: Mutex<IdleReaders>,
    returned: Condvar,
}

#[derive(Default)]
struct IdleReaders {
    connections: Vec<Connection>,
    lent: usize,
}

impl Readers {
    pub(crate) fn new(file: PathBuf, presence: Arc<Presence>) -> Self {
        Self {
            file,
            presence,
            idle: Mutex::default(),
            returned: Condvar::new(),
        }
    }

    /// Runs `read`, of at most `rows` rows, on a connection that sees every commit acknowledged so
    /// far.
    pub(crate) fn read<T>(
        &self,
        rows: usize,
        read: impl FnOnce(&Connection) -> rusqlite::Result<T>,
    ) -> rusqlite::Result<T> {
        match CallerThread::here() {
            Some(place) if rows > FEW => place.run(|| self.read_here(read)),
            _ => self.read_here(read),
        }
    }

    fn read_here<T>(
        &self,
        read: impl FnOnce(&Connection) -> rusqlite::Result<T>,
    ) -> rusqlite::Result<T> {
        self.presence.check_now_and_then()?;
        let mut loan = self.lend()?;
        let outcome = read(loan.connection()?);
        if outcome.as_ref().is_err_and(breaks_connection) {
            loan.connection = None;
        }
        outcome
    }

    fn lend(&self) -> rusqlite::Result<Loan<'_>> {
        let mut idle = self.lock();
        while idle.lent == MOST {
            idle = self
                .returned
                .wait(idle)
                .unwrap_or_else(PoisonError::into_inner);
        }
        idle.lent += 1;
        let connection = idle.connections.pop();
        drop(idle);
        let mut loan = Loan {
            readers: self,
            connection,
        };
        if loan.connection.is_none() {
            // Another file that has the name by now is not opened: it would get what is in the log of ours. And one that
            // was opened after all is not read.
            self.presence.check()?;
            let connection = open_reader(&self.file)?;
            self.presence.look()?;
            loan.connection = Some(connection);
        }
        Ok(loan)
    }

    fn lock(&self) -> MutexGuard<'_, IdleReaders> {
        lock(&self.idle)
    }
}

/// A borrowed connection; it goes back when dropped, unless it was taken out as unfit.
struct Loan<'a> {
    readers: &'a Readers,
    connection: Option<Connection>,
}

impl Loan<'_> {
    fn connection(&self) -> rusqlite::Result<&Connection> {
        self.connection
            .as_ref()
            .ok_or(rusqlite::Error::InvalidQuery)
    }
}

impl Drop for Loan<'_> {
    fn drop(&mut self) {
        let mut idle = self.readers.lock();
        idle.lent -= 1;
        idle.connections.extend(self.connection.take());
        drop(idle);
        self.readers.returned.notify_one();
    }
}
