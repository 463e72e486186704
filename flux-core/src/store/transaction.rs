//! Running a user's own statements without letting them harm the commit around them.

use std::any::Any;
use std::cell::Cell;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use crate::error::{ErrorRecord, TaskErrorKind, TaskFailure};
use crate::event::Event;
use crate::payload::Payload;

/// A user's own statements, run inside the commit that records their outcome.
///
/// The store runs `run` with its connection after the rest of the commit. `Ok` is the JSON of the
/// result: the statements stay, and `completed` is appended with it as payload. `Err` is the JSON of
/// the error: the statements are undone, and `failed` is appended with it as payload. A panic, or
/// statements that end the surrounding transaction, count as `Err` of this member alone. `run` may
/// be called again when the commit is repeated, each time on a state where it has not run.
#[derive(Clone)]
pub struct Transaction {
    /// The user's statements.
    pub run: TransactionBody,
    /// What to append when they succeed; its payload is filled in.
    pub completed: Event,
    /// What to append when they fail; its payload is filled in.
    pub failed: Event,
}

/// A user's own statements. The argument is the connection: for SQLite a `rusqlite::Connection`.
/// The error is the JSON that `failed` records.
pub type TransactionBody = Arc<dyn Fn(&dyn Any) -> Result<Payload, Payload> + Send + Sync>;

impl fmt::Debug for Transaction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Transaction")
            .field("completed", &self.completed)
            .finish_non_exhaustive()
    }
}

thread_local! {
    static RUNNING: Cell<bool> = const { Cell::new(false) };
}

/// Whether this thread is inside a user's `transaction` body.
///
/// Waiting there for anything that commits would wait for ever: the body itself holds the store's
/// only writer. Whatever blocks on Flux asks this first and refuses.
pub fn in_transaction() -> bool {
    RUNNING.with(Cell::get)
}

impl Transaction {
    /// Runs the body on `connection` and returns the JSON it recorded, or the error's JSON.
    ///
    /// A panic counts as an error. The caller undoes the statements when this is an error.
    pub fn attempt(&self, connection: &dyn Any) -> Result<Payload, Payload> {
        let flag = Flag::raise();
        let outcome = catch_unwind(AssertUnwindSafe(|| (self.run)(connection)));
        drop(flag);
        outcome.unwrap_or_else(|panic| {
            Err(Self::refusal(&format!("panicked: {}", panic_text(&*panic))))
        })
    }

    /// The JSON of an error that the store raises in place of the body.
    pub fn refusal(message: &str) -> Payload {
        let record = serde_json::json!({ "type": "", "message": message });
        Payload::from_json(record.to_string())
    }

    /// What a store raises in place of the body knows nothing of the call: here it is given the call's name.
    fn named(&self, error: Payload) -> Payload {
        let (Some(task), Ok(record)) = (&self.failed.name, error.decode::<ErrorRecord>()) else {
            return error;
        };
        let failure = TaskFailure {
            task: Arc::clone(task),
            kind: TaskErrorKind::Failed,
            attempts: 1,
            error: record,
            undone: Vec::new(),
        };
        Payload::encode(&failure).unwrap_or(error)
    }

    /// The event that records `outcome`.
    pub fn event(&self, outcome: Result<Payload, Payload>) -> Event {
        let (event, payload) = match outcome {
            Ok(value) => (&self.completed, value),
            Err(error) => (&self.failed, self.named(error)),
        };
        Event {
            payload: Some(payload),
            ..event.clone()
        }
    }
}

/// Marks the thread for as long as it lives, and puts back what was there before.
struct Flag(bool);

impl Flag {
    fn raise() -> Self {
        Self(RUNNING.with(|running| running.replace(true)))
    }
}

impl Drop for Flag {
    fn drop(&mut self) {
        RUNNING.with(|running| running.set(self.0));
    }
}

fn panic_text(panic: &(dyn Any + Send)) -> &str {
    if let Some(text) = panic.downcast_ref::<&str>() {
        text
    } else if let Some(text) = panic.downcast_ref::<String>() {
        text
    } else {
        "with a value that is no text"
    }
}
