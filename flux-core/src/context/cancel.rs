//! `cancelled`: how code learns that it is to end.

use std::fmt;
use std::future::Future;
use std::panic::Location;
use std::pin::Pin;
use std::task::{Context, Poll};

use futures::future::BoxFuture;

use super::body::task_context;
use super::current;
use super::pending::{Misplaced, Pending};
use super::request::Request;
use super::shared::NewCall;
use crate::event::EventKind;

/// Resolves when the execution is to be cancelled, so that its code may clean up.
///
/// Once it has resolved, the code has the engine's [`cancel_window`](crate::EngineBuilder::cancel_window) to end: the
/// tasks it then awaits run and are recorded as ever. However it ends, the execution is `Cancelled`; what has not ended
/// by then is dropped where it stands. Code that does not wait for this when somebody cancels the execution is
/// dropped at once.
///
/// In a task's body it resolves when the body is to stop: see [`TaskContext::cancelled`](crate::TaskContext::cancelled).
/// Elsewhere it never resolves.
///
/// # Determinism
///
/// The moment is recorded: a replay learns of it at the same point, and in the rest of the window after a crash.
///
/// # Panics
///
/// When it is made in a workflow and awaited outside of it (in `tokio::spawn`).
///
/// # Examples
///
/// ```
/// # use flux::{task, workflow, ExecutionContext, TaskError};
/// # #[task] async fn crawl(_site: String) -> u32 { std::future::pending().await }
/// # #[task] async fn release_lock(_site: String) {}
/// #[workflow]
/// async fn crawl_site(ctx: ExecutionContext<String>) -> Result<u32, TaskError> {
///     tokio::select! {
///         pages = crawl(ctx.input().clone()) => pages,
///         () = flux::cancelled() => {
///             release_lock(ctx.input().clone()).await?;
///             Ok(0)
///         }
///     }
/// }
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), flux::Error> {
/// # let engine = flux::Engine::in_memory();
/// let handle = crawl_site.on(&engine).start("flux.rs".to_owned()).await?;
/// handle.cancel().await?;
/// let run = handle.wait().await?;
/// assert!(run.is_cancelled());
/// assert_eq!(run.tasks().await?[1].name(), "release_lock");
/// # Ok(()) }
/// ```
#[track_caller]
pub fn cancelled() -> Cancelled {
    if let Some(shared) = current::workflow() {
        let call = NewCall {
            kind: EventKind::CancelAwaited,
            name: "cancelled".into(),
            input: None,
            site: Location::caller(),
            request: Request::Cancelled,
        };
        return Cancelled(CancelledStage::Waiting(Pending::new(shared, call)));
    }
    Cancelled(match task_context() {
        Some(context) => CancelledStage::Body(Box::pin(async move { context.cancelled().await })),
        None => CancelledStage::Done,
    })
}

/// The future of [`cancelled`].
#[must_use = "it tells nothing until it is awaited"]
pub struct Cancelled(CancelledStage);

enum CancelledStage {
    Waiting(Pending),
    Body(BoxFuture<'static, ()>),
    Done,
}

impl Future for Cancelled {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let polled = match &mut self.0 {
            CancelledStage::Waiting(pending) => match pending.poll(cx) {
                Ok(polled) => polled.map(drop),
                Err(Misplaced) => panic!("{}", Misplaced::message("`flux::cancelled()`")),
            },
            CancelledStage::Body(stopped) => stopped.as_mut().poll(cx),
            CancelledStage::Done => return Poll::Pending,
        };
        if polled.is_ready() {
            self.0 = CancelledStage::Done;
        }
        polled
    }
}

impl fmt::Debug for Cancelled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Cancelled")
    }
}
