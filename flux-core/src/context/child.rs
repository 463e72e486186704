//! `ChildCall`: one workflow calling another.

use std::fmt;
use std::future::Future;
use std::marker::PhantomData;
use std::panic::Location;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::current;
use super::pending::{Misplaced, Pending};
use super::request::Request;
use super::shared::{NewCall, Shared};
use super::task_call::open;
use crate::error::{ErrorRecord, TaskError, TaskErrorKind, TaskFailure};
use crate::event::EventKind;
use crate::id::ExecutionId;
use crate::names::{LONGEST, fault_of};
use crate::payload::{Payload, PayloadError};
use crate::policy::ChildPolicy;
use crate::workflow::WorkflowDef;

/// One call of a workflow from inside another: a child execution with an id and a history of its own.
///
/// The id is derived from the parent's and the same in every replay. The child's pause shows in its parent; its
/// failure is a [`TaskError`] here. Dropping the call cancels the child, unless
/// [`when_parent_ends`](Self::when_parent_ends) says otherwise.
#[must_use = "a call does nothing until it is awaited"]
pub struct ChildCall<O> {
    stage: ChildStage,
    def: &'static WorkflowDef,
    id: Option<ExecutionId>,
    policy: ChildPolicy,
    site: &'static Location<'static>,
    _output: PhantomData<fn() -> O>,
}

enum ChildStage {
    New {
        shared: Option<Arc<Shared>>,
        input: Result<Payload, PayloadError>,
    },
    Waiting(Pending),
    Done,
}

/// Makes the call.
#[track_caller]
pub(crate) fn child_call<I: Serialize, O>(def: &'static WorkflowDef, input: &I) -> ChildCall<O> {
    ChildCall {
        stage: ChildStage::New {
            shared: current::workflow(),
            input: Payload::record_again(input, def.reencode),
        },
        def,
        id: None,
        policy: ChildPolicy::default(),
        site: Location::caller(),
        _output: PhantomData,
    }
}

impl<O> ChildCall<O> {
    /// Gives the child an id of the caller's choice; taken by another parent or input, the call fails.
    pub fn execution_id(mut self, id: impl Into<ExecutionId>) -> Self {
        self.id = Some(id.into());
        self
    }

    /// Sets what becomes of the child when the call is dropped or this workflow ends before it does. The default is
    /// [`ChildPolicy::Cancel`].
    ///
    /// # Examples
    ///
    /// ```
    /// # use flux::{workflow, ChildPolicy, ExecutionContext, TaskError};
    /// # #[workflow] async fn send_newsletter(_ctx: ExecutionContext) {}
    /// #[workflow]
    /// async fn publish(_ctx: ExecutionContext) -> Result<(), TaskError> {
    ///     let sent = send_newsletter.call(()).when_parent_ends(ChildPolicy::Abandon);
    ///     // Started, and not waited for any longer than this.
    ///     let _ = flux::timeout(flux::time::secs(1), sent).await;
    ///     Ok(())
    /// }
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), flux::Error> {
    /// # assert!(publish.on(&flux::Engine::in_memory()).run(()).await?.has_succeeded());
    /// # Ok(()) }
    /// ```
    pub fn when_parent_ends(mut self, policy: ChildPolicy) -> Self {
        self.policy = policy;
        self
    }

    fn error(&self, message: String) -> TaskError {
        let error = ErrorRecord::message(message);
        let task = self.def.name.into();
        TaskError::unrecorded(TaskFailure {
            task,
            kind: TaskErrorKind::Failed,
            attempts: 0,
            error,
            undone: Vec::new(),
        })
    }

    fn begin(
        &self,
        shared: Option<Arc<Shared>>,
        input: Result<Payload, PayloadError>,
    ) -> Result<Pending, TaskError> {
        let Some(shared) = shared else {
            return Err(self.error(
                "`call` is for use inside a workflow; elsewhere use `run` or `start`".to_owned(),
            ));
        };
        let fault = self
            .id
            .as_ref()
            .and_then(|id| fault_of(id.as_str(), LONGEST));
        if let Some(fault) = fault {
            return Err(self.error(format!("its execution id is refused: {fault}")));
        }
        let input =
            input.map_err(|error| self.error(format!("its input cannot be recorded: {error}")))?;
        let (size, limit) = (input.size(), shared.env.payload_limit);
        if size > limit {
            return Err(self.error(format!(
                "its input takes {size} bytes, and the payload limit is {limit}"
            )));
        }
        let call = NewCall {
            kind: EventKind::ChildStarted,
            name: self.def.name.into(),
            input: Some(input.clone()),
            site: self.site,
            request: Request::Child {
                def: self.def,
                id: self.id.clone(),
                input,
                policy: self.policy,
            },
        };
        Ok(Pending::new(shared, call))
    }
}

impl<O: DeserializeOwned + 'static> Future for ChildCall<O> {
    type Output = Result<O, TaskError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        loop {
            match &mut this.stage {
                ChildStage::Waiting(pending) => {
                    let Ok(polled) = pending.poll(cx) else {
                        let what = format!("the call of workflow `{}`", this.def.name);
                        return Poll::Ready(Err(this.error(Misplaced::message(&what))));
                    };
                    let outcome = ready!(polled);
                    let shared = Arc::clone(pending.shared());
                    this.stage = ChildStage::Done;
                    return open(outcome, &shared, || {
                        format!("output of workflow `{}`", this.def.name)
                    });
                }
                ChildStage::Done => return Poll::Pending,
                ChildStage::New { .. } => {
                    let ChildStage::New { shared, input } =
                        std::mem::replace(&mut this.stage, ChildStage::Done)
                    else {
                        continue;
                    };
                    match this.begin(shared, input) {
                        Ok(pending) => this.stage = ChildStage::Waiting(pending),
                        Err(error) => return Poll::Ready(Err(error)),
                    }
                }
            }
        }
    }
}

impl<O> fmt::Debug for ChildCall<O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ChildCall")
            .field("workflow", &self.def.name)
            .finish_non_exhaustive()
    }
}
