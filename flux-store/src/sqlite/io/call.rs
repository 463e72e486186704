//! `transaction`: a user's own statements as a durable call.

use std::sync::Arc;

use flux_core::private::reencode;
use flux_core::{
    BodyError, ErrorRecord, Payload, TaskCall, TaskErrorKind, TaskFailure, transaction_call,
};
use rusqlite::Connection;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::transaction::body;

type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// Runs a user's own statements and records their result in one database transaction: exactly once, whatever
/// crashes, for tables that live in the store's own file.
///
/// `statements` is given the connection inside the transaction; when it returns an error, what it did is undone
/// and the call fails with that error, after one attempt. It may be run again on a state where it has not run, so
/// it must not do anything but SQL. It runs on the store's only writer: keep it short, and do not wait for Flux
/// in it.
///
/// Flux's own tables begin with `flux_`; leave those alone. On another store than SQLite, and where neither a workflow nor
/// a task's body runs, the call is an error.
///
/// # Delivery
///
/// Exactly once. In the body of a task, a step or a rollback: once for the call, however often the body runs. A body that
/// runs again, in a further attempt or after a crash, is given what the transaction of that name came to, counted within the
/// attempt; only what failed in an earlier attempt is tried again.
#[track_caller]
pub fn transaction<T, E, F>(name: impl Into<String>, statements: F) -> TaskCall<T>
where
    F: Fn(&Connection) -> Result<T, E> + Send + Sync + 'static,
    T: Serialize + DeserializeOwned + 'static,
    E: Into<BoxError>,
{
    let name = name.into();
    let task: Arc<str> = name.as_str().into();
    let record = {
        let task = Arc::clone(&task);
        move |error: BodyError| failure(&task, error)
    };
    let statements = move |connection: &Connection| {
        statements(connection)
            .map_err(|error| BodyError::from_box(std::any::type_name::<E>(), &error.into()))
    };
    let unrecordable = move |error: &flux_core::PayloadError| {
        failure(
            &task,
            BodyError::final_message(format!("its output cannot be recorded: {error}")),
        )
    };
    let encode = move |value: &T| {
        let payload = Payload::record_again(value, reencode::<T>);
        let payload = payload.map_err(|error| unrecordable(&error))?;
        payload
            .decode::<T>()
            .map_err(|error| unrecordable(&error))?;
        Ok(payload)
    };
    transaction_call(
        name,
        body(statements, encode, move |error: &BodyError| {
            record(error.clone())
        }),
    )
}

/// The error as `TASK_FAILED` records it.
fn failure(task: &Arc<str>, error: BodyError) -> Payload {
    let failure = TaskFailure {
        task: Arc::clone(task),
        kind: error.kind,
        attempts: 1,
        error: *error.record,
        undone: Vec::new(),
    };
    Payload::encode(&failure).unwrap_or_else(|error| {
        let failure = TaskFailure {
            task: Arc::clone(task),
            kind: TaskErrorKind::Failed,
            attempts: 1,
            error: ErrorRecord::message(error.to_string()),
            undone: Vec::new(),
        };
        Payload::encode(&failure).unwrap_or_else(|_| Payload::null())
    })
}
