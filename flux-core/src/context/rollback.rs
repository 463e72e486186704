//! Rollbacks: what undoes the tasks of an execution that does not come to a good end.
//!
//! A rollback is registered when its call is recorded, not when the call has its result: a body that is cut off may have
//! done its work. What is registered is derived from what happens to calls, and so is the same in every replay.

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use super::current;
use super::pending::Misplaced;
use super::request::{Body, Request};
use super::shared::{Call, Fault, Outcome, Shared};
use crate::error::{ErrorRecord, TaskError, TaskErrorKind, TaskFailure, panic_message};
use crate::id::EventSeq;
use crate::payload::Payload;
use crate::task::{RollBack, StartError};

/// The rollbacks of an execution, by the calls they undo.
#[derive(Default)]
pub(crate) struct Rollbacks {
    registered: BTreeMap<EventSeq, Registered>,
    /// Whether any was begun: then the calls before it no longer stand for what is.
    have_begun: bool,
    /// Those that were begun and did not fail, and the calls they undo.
    undone: BTreeMap<EventSeq, EventSeq>,
    /// The tasks of calls whose rollbacks were begun.
    tasks: BTreeMap<EventSeq, Arc<str>>,
}

struct Registered {
    task: Arc<str>,
    undo: RollBack,
    input: Payload,
    output: UndoneOutput,
}

/// What the call that is to be undone came to.
enum UndoneOutput {
    /// Nothing yet.
    Awaited,
    /// A result.
    Known(Payload),
    /// Its body may have done its work, or a part of it.
    Unknown,
}

impl Rollbacks {
    /// A call was recorded.
    pub(super) fn register(&mut self, seq: EventSeq, call: &Call) {
        if let Some(undone) = call.request.as_ref().and_then(Request::undoes) {
            self.have_begun = true;
            self.undone.insert(seq, undone);
            return;
        }
        let Some(Request::Task(request)) = &call.request else {
            return;
        };
        let Body::Task(def) = &request.body else {
            return;
        };
        if let Some(undo) = def.rollback {
            let registered = Registered {
                task: Arc::clone(&call.name),
                undo,
                input: call.input.clone().unwrap_or_else(Payload::null),
                output: UndoneOutput::Awaited,
            };
            self.registered.insert(seq, registered);
        }
    }

    /// A call has its outcome. A task that says by an error that it did nothing leaves nothing to undo.
    pub(super) fn settle(&mut self, seq: EventSeq, outcome: &Outcome) {
        let Some(registered) = self.registered.get_mut(&seq) else {
            if matches!(outcome, Outcome::Error(_)) {
                self.undone.remove(&seq);
            }
            return;
        };
        match outcome {
            Outcome::Value(output, _) => registered.output = UndoneOutput::Known(output.clone()),
            Outcome::Error(error) if error.kind() == TaskErrorKind::Failed => {
                self.registered.remove(&seq);
            }
            Outcome::Error(_) => registered.output = UndoneOutput::Unknown,
        }
    }

    /// A call was dropped before it had an outcome.
    pub(super) fn let_go(&mut self, seq: EventSeq) {
        if let Some(registered) = self.registered.get_mut(&seq) {
            registered.output = UndoneOutput::Unknown;
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.registered.is_empty()
    }

    pub(crate) fn have_begun(&self) -> bool {
        self.have_begun
    }

    fn newest(&self) -> Option<EventSeq> {
        self.registered.last_key_value().map(|(seq, _)| *seq)
    }

    /// Takes the newest one of a call up to `last` that nobody waits for any more.
    fn take(&mut self, last: EventSeq) -> Option<(EventSeq, Registered)> {
        let up_to_last = self.registered.range(..=last).rev();
        let mut over = up_to_last.filter(|(_, one)| !matches!(one.output, UndoneOutput::Awaited));
        let seq = *over.next()?.0;
        let taken = self.registered.remove_entry(&seq);
        if let Some((seq, registered)) = &taken {
            self.tasks.insert(*seq, Arc::clone(&registered.task));
        }
        taken
    }

    /// The tasks that were undone, in the order of their calls, each once.
    pub(crate) fn undone(&self) -> Vec<Arc<str>> {
        let calls: BTreeSet<_> = self.undone.values().collect();
        let tasks = calls.into_iter().filter_map(|call| self.tasks.get(call));
        let mut names: Vec<Arc<str>> = Vec::new();
        for task in tasks {
            if !names.contains(task) {
                names.push(Arc::clone(task));
            }
        }
        names
    }
}

/// Undoes what the execution has done so far: runs the `rollback` of each task that was called, the
/// newest first, and forgets them. For code that goes on after that; an execution that fails or is cancelled does it by
/// itself.
///
/// Each is a call of its own, recorded as any other, with attempts of its own. One that fails does not keep the others
/// from running. Calls that are still awaited are left for later.
///
/// Outside a workflow there is nothing to undo.
///
/// # Errors
///
/// The first rollback that failed, when all have been tried.
///
/// # Panics
///
/// When it is made in a workflow and awaited outside of it (in `tokio::spawn`).
///
/// # Examples
///
/// ```
/// # use flux::{task, workflow, ExecutionContext, TaskError};
/// #[task(rollback = unbook)]
/// async fn book(seat: u32) -> u32 {
///     seat
/// }
///
/// #[task]
/// async fn unbook(_seat: u32, _booked: Option<u32>) {}
///
/// #[workflow]
/// async fn try_seats(_ctx: ExecutionContext) -> Result<u32, TaskError> {
///     book(1).await?;
///     book(2).await?;
///     flux::roll_back().await?; // 2, then 1
///     book(3).await
/// }
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), flux::Error> {
/// # let run = try_seats.on(&flux::Engine::in_memory()).run(()).await?;
/// # let tasks = run.tasks().await?;
/// # let names: Vec<&str> = tasks.iter().map(|task| task.name()).collect();
/// # assert_eq!(names, ["book", "book", "unbook", "unbook", "book"]);
/// # Ok(()) }
/// ```
pub fn roll_back() -> impl Future<Output = Result<(), TaskError>> + Send + 'static {
    let shared = current::workflow();
    async move {
        let Some(shared) = shared else { return Ok(()) };
        assert!(
            current::is_workflow(&shared),
            "{}",
            Misplaced::message("`flux::roll_back()`")
        );
        let Some(newest) = shared.state().rollbacks.newest() else {
            return Ok(());
        };
        undo_until(&shared, newest).await
    }
}

/// Undoes everything, when the code is gone.
pub(super) async fn undo_all(shared: &Arc<Shared>) {
    // What fails is warned of where it does, and stands in the history.
    let _ = undo_until(shared, EventSeq::MAX).await;
}

async fn undo_until(shared: &Arc<Shared>, last: EventSeq) -> Result<(), TaskError> {
    let mut outcome = Ok(());
    while let Some((call, registered)) = take(shared, last) {
        let undone = undo(shared, call, registered).await;
        outcome = outcome.and(undone);
    }
    outcome
}

fn take(shared: &Shared, last: EventSeq) -> Option<(EventSeq, Registered)> {
    shared.state().rollbacks.take(last)
}

async fn undo(
    shared: &Arc<Shared>,
    call: EventSeq,
    registered: Registered,
) -> Result<(), TaskError> {
    let Registered {
        task,
        undo,
        input,
        output,
    } = registered;
    let output = match &output {
        UndoneOutput::Known(output) => Some(output),
        UndoneOutput::Awaited | UndoneOutput::Unknown => None,
    };
    // To read recorded values and to make the call takes code of the user's.
    let make = || undo(&input, output).map(|undoing| undoing.make(call));
    let undone = match catch_unwind(AssertUnwindSafe(make)) {
        Ok(Ok(undoing)) => undoing.await,
        Ok(Err(error)) => unreadable(shared, call, &task, error).await,
        Err(panic) => Err(panicked(&task, panic_message(&*panic))),
    };
    if let Err(error) = &undone {
        tracing::warn!(execution_id = %shared.id, %task, %call, %error, "what a task did could not be undone");
    }
    undone
}

/// What was recorded is not of today's types: the execution stops, for a build that can read it.
async fn unreadable(
    shared: &Shared,
    event: EventSeq,
    task: &str,
    error: StartError,
) -> Result<(), TaskError> {
    let what = format!("input or output of task `{task}`, for its rollback,");
    if let StartError::Arguments(error) = error {
        shared.fail(Fault::Decode { event, what, error });
    }
    std::future::pending().await
}

fn panicked(task: &Arc<str>, message: String) -> TaskError {
    TaskError::unrecorded(TaskFailure {
        task: Arc::clone(task),
        kind: TaskErrorKind::Panicked,
        attempts: 0,
        error: ErrorRecord::message(message),
        undone: Vec::new(),
    })
}
