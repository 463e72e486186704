//! `pause`: hands control back to whoever ran the execution.

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
use super::request::{Request, WantedValue, check, shared_name};
use super::shared::NewCall;
use super::task_call::open;
use crate::event::EventKind;

/// Pauses the execution until somebody resumes it.
///
/// `run` and `resume` return once nothing else is at work, with
/// [`is_paused`](crate::Execution::is_paused); a later `resume(id)` goes on from here, in this process or
/// another. Nothing is held in memory meanwhile. With [`value`](Pause::value) the resume gives a value.
///
/// # Panics
///
/// Outside a workflow: there is nothing to pause.
///
/// # Examples
///
/// ```
/// # use flux::{workflow, ExecutionContext};
/// #[workflow]
/// async fn publish_page(ctx: ExecutionContext<String>) -> String {
///     let approved = flux::pause("review").value::<bool>().await;
///     if approved { ctx.input().to_uppercase() } else { String::new() }
/// }
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), flux::Error> {
/// let engine = flux::Engine::in_memory();
/// let run = publish_page.on(&engine).run("news".to_owned()).await?;
/// assert_eq!(run.pause_point(), Some("review"));
/// let run = publish_page.on(&engine).resume(run.execution_id()).with(&true).await?;
/// assert_eq!(run.output().map(String::as_str), Some("NEWS"));
/// # Ok(()) }
/// ```
#[track_caller]
pub fn pause(name: impl Into<String>) -> Pause {
    let name = name.into();
    Pause(PauseValue::new(&name, None))
}

/// The future of [`pause`].
#[must_use = "a pause point does nothing until it is awaited"]
pub struct Pause(PauseValue<()>);

/// The future of [`Pause::value`].
#[must_use = "a pause point does nothing until it is awaited"]
pub struct PauseValue<T> {
    pending: Pending,
    name: Arc<str>,
    site: &'static Location<'static>,
    is_kept: bool,
    _value: PhantomData<fn() -> T>,
}

impl Pause {
    /// Wants a value from whoever resumes: `resume(id).with(&value)`.
    ///
    /// A value of another type is refused at the resume, and the execution stays paused.
    pub fn value<T: DeserializeOwned + 'static>(self) -> PauseValue<T> {
        let is_unit = std::any::TypeId::of::<T>() == std::any::TypeId::of::<()>();
        let wants = WantedValue {
            type_name: std::any::type_name::<T>(),
            check: check::<T>,
        };
        let value = PauseValue::at(&self.0.name, (!is_unit).then_some(wants), self.0.site);
        if self.0.is_kept {
            value.keep_after_rollback()
        } else {
            value
        }
    }

    /// Keeps the answer also when the execution is rolled back. Without this, a `resume` of an execution that failed and
    /// was rolled back pauses here again: what a person has approved was undone, and is done again only if a person
    /// approves it again.
    pub fn keep_after_rollback(self) -> Self {
        Self(self.0.keep_after_rollback())
    }
}

impl<T> PauseValue<T> {
    #[track_caller]
    fn new(name: &str, wants: Option<WantedValue>) -> Self {
        Self::at(name, wants, Location::caller())
    }

    fn at(name: &str, wants: Option<WantedValue>, site: &'static Location<'static>) -> Self {
        let Some(shared) = current::workflow() else {
            panic!("`flux::pause({name:?})` outside a workflow: there is nothing to pause")
        };
        let name = shared_name(name);
        let call = NewCall {
            kind: EventKind::PauseReached,
            name: Arc::clone(&name),
            input: None,
            site,
            request: Request::Pause {
                wants,
                is_kept: false,
            },
        };
        Self {
            pending: Pending::new(shared, call),
            name,
            site,
            is_kept: false,
            _value: PhantomData,
        }
    }

    /// Keeps the value that is given also when the execution is rolled back: see [`Pause::keep_after_rollback`].
    pub fn keep_after_rollback(mut self) -> Self {
        if let Some(Request::Pause { is_kept, .. }) = self.pending.request() {
            *is_kept = true;
        }
        self.is_kept = true;
        self
    }
}

impl Future for Pause {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let outcome = self.0.pending.poll(cx);
        ready!(
            outcome.unwrap_or_else(|Misplaced| panic!("{}", Misplaced::message("a pause point")))
        );
        Poll::Ready(())
    }
}

impl<T: DeserializeOwned + 'static> Future for PauseValue<T> {
    type Output = T;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<T> {
        let outcome = self.pending.poll(cx);
        let outcome = ready!(
            outcome.unwrap_or_else(|Misplaced| panic!("{}", Misplaced::message("a pause point")))
        );
        let what = || format!("answer to pause point `{}`", self.name);
        match ready!(open(outcome, self.pending.shared(), what)) {
            Ok(value) => Poll::Ready(value),
            // Only tasks and children are answered by errors.
            Err(_) => Poll::Pending,
        }
    }
}

impl fmt::Debug for Pause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Pause").field(&self.0.name).finish()
    }
}

impl<T> fmt::Debug for PauseValue<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("PauseValue").field(&self.name).finish()
    }
}
