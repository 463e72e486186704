//! A user's own statements, seen from the outside: a closure over a connection.

use flux_core::payload::Payload;
use flux_core::store::{Transaction, TransactionBody};
use rusqlite::Connection;

/// Makes a [`TransactionBody`] of a closure that wants a SQLite connection.
///
/// `encode_ok` turns the result into the JSON that is recorded, or into the JSON of an error when it
/// cannot be; `encode_err` turns the closure's error into the JSON that is recorded. Under a store
/// without SQLite the body is an error and does not run.
pub fn body<T, E>(
    statements: impl Fn(&Connection) -> Result<T, E> + Send + Sync + 'static,
    encode_ok: impl Fn(&T) -> Result<Payload, Payload> + Send + Sync + 'static,
    encode_err: impl Fn(&E) -> Payload + Send + Sync + 'static,
) -> TransactionBody {
    std::sync::Arc::new(
        move |connection| match connection.downcast_ref::<Connection>() {
            Some(connection) => match statements(connection) {
                Ok(value) => encode_ok(&value),
                Err(error) => Err(encode_err(&error)),
            },
            None => Err(Transaction::refusal(
                "this store has no SQLite connection: open a SQLite store",
            )),
        },
    )
}
