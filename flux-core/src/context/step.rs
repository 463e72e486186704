//! `step`: an inline task.

use std::error::Error as StdError;
use std::future::Future;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::task_call::{TaskCall, step_call};
use crate::error::BodyError;
use crate::task::{BodyFuture, success};

type BoxError = Box<dyn StdError + Send + Sync>;

/// Runs an inline task: a piece of work that is recorded like a task, without a function of its own.
///
/// `body` is a future (`async move { .. }`, tried once) or a closure that makes one (`|| async { .. }`, tried as
/// often as [`max_attempts`](TaskCall::max_attempts) says). It returns a `Result` whose error is anything that
/// `?` turns into a boxed error. Unlike a task's, its error cannot be had back as its own type after a replay.
///
/// # Determinism
///
/// What `body` captures is not recorded; only its result is. Capture what comes from recorded values.
///
/// # Examples
///
/// ```
/// # use flux::{workflow, ExecutionContext, TaskError};
/// #[workflow]
/// async fn measure_page(ctx: ExecutionContext<String>) -> Result<usize, TaskError> {
///     let page = ctx.input().clone();
///     flux::step("measure", async move { Ok::<_, String>(page.len()) }).await
/// }
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), flux::Error> {
/// let run = measure_page.on(&flux::Engine::in_memory()).run("some text".to_owned()).await?;
/// assert_eq!(run.output(), Some(&9));
/// # Ok(()) }
/// ```
#[track_caller]
pub fn step<K, T, E, B>(name: impl Into<String>, body: B) -> TaskCall<T>
where
    B: IntoStep<K, T, E>,
    T: Serialize + DeserializeOwned + Send + 'static,
{
    step_call(name.into().into(), body.into_step())
}

/// What [`step`] takes: a future, or a closure that makes one, of a `Result<T, E>`.
#[diagnostic::on_unimplemented(
    message = "the body of a step must be a future of a `Result`, or a closure that makes one",
    label = "this is no such body",
    note = "write `async move {{ .. Ok::<_, MyError>(value) }}`, or `|| async {{ .. }}` for a step that may be retried; \
            everything it captures must be `Send + 'static`"
)]
pub trait IntoStep<K, T, E> {
    #[doc(hidden)]
    fn into_step(self) -> Box<dyn FnMut() -> Option<BodyFuture> + Send>;
}

/// Marks a step given as a future.
#[derive(Debug)]
pub struct OneFuture(());

/// Marks a step given as a closure.
#[derive(Debug)]
pub struct ManyFutures(());

impl<B, T, E> IntoStep<OneFuture, T, E> for B
where
    B: Future<Output = Result<T, E>> + Send + 'static,
    T: Serialize + DeserializeOwned + Send + 'static,
    E: Into<BoxError>,
{
    fn into_step(self) -> Box<dyn FnMut() -> Option<BodyFuture> + Send> {
        let mut body = Some(record(self));
        Box::new(move || body.take())
    }
}

impl<B, F, T, E> IntoStep<ManyFutures, T, E> for B
where
    B: FnMut() -> F + Send + 'static,
    F: Future<Output = Result<T, E>> + Send + 'static,
    T: Serialize + DeserializeOwned + Send + 'static,
    E: Into<BoxError>,
{
    fn into_step(mut self) -> Box<dyn FnMut() -> Option<BodyFuture> + Send> {
        Box::new(move || Some(record(self())))
    }
}

fn record<T, E>(body: impl Future<Output = Result<T, E>> + Send + 'static) -> BodyFuture
where
    T: Serialize + DeserializeOwned + Send + 'static,
    E: Into<BoxError>,
{
    Box::pin(async move {
        match body.await {
            Ok(value) => success(&value),
            Err(error) => Err(BodyError::from_box(
                std::any::type_name::<E>(),
                &error.into(),
            )),
        }
    })
}
