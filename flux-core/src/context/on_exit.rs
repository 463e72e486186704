//! `ctx.on_exit`: what is done at the end of an execution, however it ends.

use std::any::{Any, type_name};
use std::error::Error as StdError;
use std::fmt::Display;
use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use futures::FutureExt;
use futures::future::BoxFuture;

use super::ExecutionContext;
use super::current;
use super::end::FailedEnd;
use super::pending::Misplaced;
use super::shared::Shared;
use crate::error::{BodyError, ErrorRecord, TaskError, TaskErrorKind, describe_dyn, panic_message};
use crate::type_name::readable;

/// What the code left to be done at its end.
pub(crate) type ExitHandler = Box<dyn FnOnce() -> BoxFuture<'static, Result<(), BodyError>> + Send>;

impl<I> ExecutionContext<I> {
    /// Registers what is to be done at the end of the execution: when it has completed, when it has failed (after the
    /// last attempt of the workflow), when it was cancelled or ran out of time. Not when it is terminated, and not when
    /// it begins anew with [`continue_as_new`](Self::continue_as_new), whose code registers its own.
    ///
    /// The last one registered runs first, after the rollbacks if there are any. It is code of the workflow: the tasks it
    /// calls are recorded, tried as often as they say, and go on after a crash. A task can be given as it is:
    /// `ctx.on_exit(clean_up)`. The workflow's own limits and cancellations do not hinder it, so give its tasks
    /// timeouts.
    ///
    /// If everything went well but this, the execution fails with its error, and a resume tries it again. What failed
    /// before stays the failure of the execution. One that fails does not keep the others from running.
    ///
    /// # Panics
    ///
    /// Outside the workflow's code (in `tokio::spawn`): a replay would not know when it was registered.
    ///
    /// # Examples
    ///
    /// ```
    /// # use flux::{task, workflow, ExecutionContext, TaskError};
    /// #[task]
    /// async fn mount(disk: String) -> Result<u32, String> {
    ///     Err(format!("{disk} is broken"))
    /// }
    ///
    /// #[task(max_attempts = 5)]
    /// async fn unmount(_disk: String) {}
    ///
    /// #[workflow]
    /// async fn scan_disk(ctx: ExecutionContext<String>) -> Result<u32, TaskError> {
    ///     let disk = ctx.input().clone();
    ///     ctx.on_exit(move || unmount(disk));
    ///     mount(ctx.input().clone()).await
    /// }
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), flux::Error> {
    /// let run = scan_disk.on(&flux::Engine::in_memory()).run("sda".to_owned()).await?;
    /// assert_eq!(run.failure().unwrap().task(), Some("mount"));
    /// assert_eq!(run.tasks().await?[1].name(), "unmount");
    /// # Ok(()) }
    /// ```
    pub fn on_exit<F, Fut, T, E>(&self, handler: F)
    where
        F: FnOnce() -> Fut + Send + 'static,
        Fut: Future<Output = Result<T, E>> + Send + 'static,
        T: 'static,
        E: Display + 'static,
    {
        assert!(
            current::is_workflow(&self.shared),
            "{}",
            Misplaced::message("`ctx.on_exit(..)`")
        );
        let handler = || {
            let ended = handler().map(|ended| match ended {
                Ok(_) => Ok(()),
                Err(error) => Err(describe(&error)),
            });
            ended.boxed()
        };
        self.shared.state().exit_handlers.push(Box::new(handler));
    }
}

/// Runs what was left to be done, the newest first, and gives the first failure.
pub(super) async fn run_all(shared: &Arc<Shared>) -> Option<FailedEnd> {
    let mut first = None;
    while let Some(handler) = take(shared) {
        let ended = AssertUnwindSafe(async { handler().await }).catch_unwind();
        let failed = match ended.await {
            Ok(Ok(())) => continue,
            Ok(Err(error)) => failed(shared, error),
            Err(panic) => panicked(shared, panic_message(&*panic)),
        };
        tracing::warn!(execution_id = %shared.id, error = %failed.error.message, "what was to be done at the end of the execution failed");
        first.get_or_insert(failed);
    }
    first
}

fn take(shared: &Shared) -> Option<ExitHandler> {
    shared.state().exit_handlers.pop()
}

fn failed(shared: &Shared, error: BodyError) -> FailedEnd {
    FailedEnd::returned(error, &shared.state())
}

fn panicked(shared: &Shared, message: String) -> FailedEnd {
    FailedEnd {
        panicked: true,
        ..FailedEnd::new(ErrorRecord::message(message), shared.state().delivery)
    }
}

/// What can be seen of an error that only promises to be shown.
fn describe<E: Display + 'static>(error: &E) -> BodyError {
    let name = type_name::<E>();
    let any: &dyn Any = error;
    if let Some(error) = any.downcast_ref::<TaskError>() {
        return describe_dyn(name, error);
    }
    if let Some(error) = any.downcast_ref::<Box<dyn StdError + Send + Sync>>() {
        return describe_dyn(name, &**error);
    }
    BodyError {
        record: Box::new(ErrorRecord {
            type_name: readable(name),
            ..ErrorRecord::message(error.to_string())
        }),
        kind: TaskErrorKind::Failed,
        retryable: false,
        tasks: Vec::new(),
    }
}
