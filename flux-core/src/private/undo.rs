//! Rollbacks: a task, or an `async fn` that becomes a step, from what the expansion knows of either.

use std::convert::Infallible;
use std::future::Future;
use std::panic::Location;

use futures::FutureExt;
use futures::future::BoxFuture;
use serde::de::DeserializeOwned;

use super::value::Output;
use crate::context::{TaskCall, step_call};
use crate::error::TaskError;
use crate::payload::Payload;
use crate::task::{BodyFuture, BodyResult, StartError, UndoCall};

/// Decodes what a task gave, if that is known.
pub fn restore_output<T: Output<RECORDABLE>, const RECORDABLE: bool>(
    recorded: Option<&Payload>,
) -> Result<Option<T>, StartError> {
    recorded
        .map(T::restore)
        .transpose()
        .map_err(StartError::Arguments)
}

/// A closure that calls a rollback.
#[derive(Debug)]
pub struct Undo<F>(pub F);

impl<F, T> Undo<F>
where
    F: FnOnce() -> TaskCall<T> + Send + 'static,
    T: DeserializeOwned + Send + 'static,
{
    /// A task: its own call.
    pub fn flux_into_call(
        self,
        _: &'static str,
        _: fn(Result<T, TaskError>) -> BodyResult,
    ) -> UndoCall {
        UndoCall::new(move |undone| {
            let call = (self.0)().undoing(undone);
            call.map(|ended| ended.map(drop)).boxed()
        })
    }
}

/// A rollback that is no task; what is inherent is found first.
pub trait UndoByFunction<R>: Sized {
    /// A step of this name.
    fn flux_into_call(self, name: &'static str, finish: fn(R::Given) -> BodyResult) -> UndoCall
    where
        R: UndoFuture;
}

impl<F, R> UndoByFunction<R> for Undo<F>
where
    F: FnOnce() -> R + Send + 'static,
{
    #[track_caller]
    fn flux_into_call(self, name: &'static str, finish: fn(R::Given) -> BodyResult) -> UndoCall
    where
        R: UndoFuture,
    {
        let site = Location::caller();
        let mut call = Some(self.0);
        // Called only inside the step's body, so that all it does belongs to that.
        let body = move || {
            let call = call.take()?;
            Some(Box::pin(async move { finish(call().given().await) }) as BodyFuture)
        };
        UndoCall::new(move |undone| {
            let call: TaskCall<()> = step_call(name.into(), Box::new(body));
            call.at(site).undoing(undone).boxed()
        })
    }
}

/// What calling a rollback gives.
#[diagnostic::on_unimplemented(
    message = "a rollback is a task or an `async fn`, and this one gives `{Self}` at once",
    label = "not `async`",
    note = "a rollback takes the arguments of its task and then `Option<output>`, `None` where the outcome is not known"
)]
pub trait UndoFuture: Send + 'static {
    /// What it gives in the end.
    type Given;

    /// The future.
    fn given(self) -> BoxFuture<'static, Self::Given>;
}

#[diagnostic::do_not_recommend]
impl<R: Future + Send + 'static> UndoFuture for R {
    type Given = R::Output;

    fn given(self) -> BoxFuture<'static, R::Output> {
        self.boxed()
    }
}

/// What a rollback that is no task came to.
#[derive(Debug)]
pub struct Undone<T>(pub T);

impl<T, E> Undone<Result<T, E>> {
    /// Whether it was done.
    pub fn flux_split(self) -> Result<(), E> {
        self.0.map(drop)
    }
}

/// One that cannot fail; what is inherent is found first.
pub trait UndoneAlways {
    /// That it was done.
    fn flux_split(self) -> Result<(), Infallible>;
}

impl<T> UndoneAlways for Undone<T> {
    fn flux_split(self) -> Result<(), Infallible> {
        Ok(())
    }
}
