//! `signal`: waits for a value that somebody else sends.

use std::fmt;
use std::future::Future;
use std::marker::PhantomData;
use std::panic::Location;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use serde::de::DeserializeOwned;

use super::current;
use super::pending::{Misplaced, Pending};
use super::request::{Request, check};
use super::shared::NewCall;
use super::task_call::open;
use crate::event::EventKind;

/// Waits for a signal: a value sent with [`Engine::signal`](crate::Engine::signal) to this execution.
///
/// Signals of one name queue up, first in, first out, also before anybody waits; each is taken once. A wait
/// that is dropped (the loser of a race, a timeout) takes nothing. A value that is not a `T` is passed
/// over with a warning and stays in the queue.
///
/// # Panics
///
/// Outside a workflow: nobody could send it anything.
///
/// # Examples
///
/// ```
/// # use flux::{workflow, Engine, ExecutionContext};
/// #[workflow]
/// async fn await_name(_ctx: ExecutionContext) -> String {
///     flux::signal::<String>("name").await
/// }
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), flux::Error> {
/// let engine = Engine::in_memory();
/// let handle = await_name.on(&engine).start(()).await?;
/// engine.signal(handle.execution_id(), "name", &"Ada").await?;
/// assert_eq!(handle.wait().await?.output().map(String::as_str), Some("Ada"));
/// # Ok(()) }
/// ```
#[track_caller]
pub fn signal<T: DeserializeOwned + 'static>(name: impl Into<String>) -> SignalWait<T> {
    let name: Arc<str> = name.into().into();
    let Some(shared) = current::workflow() else {
        panic!("`flux::signal({name:?})` outside a workflow: nobody could send it anything")
    };
    let call = NewCall {
        kind: EventKind::SignalAwaited,
        name: Arc::clone(&name),
        input: None,
        site: Location::caller(),
        request: Request::Signal {
            check: check::<T>,
            again: false,
        },
    };
    SignalWait {
        pending: Pending::new(shared, call),
        name,
        _value: PhantomData,
    }
}

/// The future of [`signal`].
#[must_use = "a wait does nothing until it is awaited"]
pub struct SignalWait<T> {
    pending: Pending,
    name: Arc<str>,
    _value: PhantomData<fn() -> T>,
}

impl<T> SignalWait<T> {
    /// Waits for the signal again when the execution is resumed after it was rolled back: for what a person approves by a
    /// signal. Without this, a value that was received stays received, since a signal mostly tells what happened
    /// elsewhere and is not sent twice.
    pub fn ask_again_after_rollback(mut self) -> Self {
        if let Some(Request::Signal { again, .. }) = self.pending.request() {
            *again = true;
        }
        self
    }
}

impl<T: DeserializeOwned + 'static> Future for SignalWait<T> {
    type Output = T;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<T> {
        let outcome = self.pending.poll(cx);
        let outcome =
            ready!(outcome.unwrap_or_else(|Misplaced| panic!(
                "{}",
                Misplaced::message("a wait for a signal")
            )));
        match ready!(open(outcome, self.pending.shared(), || format!(
            "signal `{}`",
            self.name
        ))) {
            Ok(value) => Poll::Ready(value),
            // Only tasks and children are answered by errors.
            Err(_) => Poll::Pending,
        }
    }
}

impl<T> fmt::Debug for SignalWait<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("SignalWait").field(&self.name).finish()
    }
}
