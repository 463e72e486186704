//! The public `Error`, and failures as data.

use std::fmt;

use crate::clock::Timestamp;
use crate::event::EventKind;
use crate::id::{EventSeq, ExecutionId};
use crate::payload::place;
use crate::status::Status;
use crate::store::StoreError;
use crate::type_name::readable;

mod asked;
mod body;
pub(crate) mod escape;
mod failure;
mod names;
mod record;
mod task_error;
mod terminal;

pub(crate) use asked::source_of;
pub(crate) use body::panic_message;
pub use body::{BodyError, Seen, body_error, describe_dyn};
pub(crate) use failure::FailureData;
pub use failure::{EscapedCall, Failure, FailureKind};
pub use names::{ErrorEntry, ErrorName};
pub(crate) use record::is_same_error;
pub use record::{ErrorRecord, SeenType};
pub use task_error::{TaskError, TaskErrorKind, TaskFailure};
pub use terminal::{Terminal, TerminalSource, terminal};

/// What Flux itself could not do. A workflow that failed is not one of these: it is an
/// [`Execution`](crate::Execution) with [`has_failed`](crate::Execution::has_failed).
///
/// Whatever the variant, the execution is as it was before the call.
#[derive(Clone, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The store holds no execution of this id.
    #[error("there is no execution `{id}` in store `{store}`")]
    ExecutionNotFound {
        /// The id asked for.
        id: ExecutionId,
        /// Which store.
        store: String,
    },
    /// The execution belongs to another workflow.
    #[error("execution `{id}` belongs to workflow `{found}`, not to `{expected}`")]
    WorkflowMismatch {
        /// The execution.
        id: ExecutionId,
        /// The workflow asked for.
        expected: String,
        /// The workflow it belongs to.
        found: String,
    },
    /// No workflow of this name is registered in this program.
    #[error(
        "no workflow `{name}` is registered in this program; registered are {}{}. \
             A crate that nothing refers to registers nothing: `use my_flows as _;`",
        NameList(available),
        InCatalog(described)
    )]
    WorkflowNotFound {
        /// The name asked for.
        name: String,
        /// What is registered.
        available: Vec<String>,
        /// What other programs have described in the store, where that would have done, too.
        described: Vec<String>,
    },
    /// Two workflows have one name and version.
    #[error(
        "two workflows are named `{name}` version {version}: {first} and {second}; \
             give one of them another `name` or `version`"
    )]
    DuplicateWorkflow {
        /// The name.
        name: String,
        /// The version.
        version: u32,
        /// The module path of the one.
        first: String,
        /// The module path of the other.
        second: String,
    },
    /// The execution was begun by a version of the workflow that this program cannot continue.
    #[error(
        "execution `{id}` was begun by version {recorded} of workflow `{workflow}`, and this program has {}; \
             register that version too, or let the newer one take it over with `accepts`",
        NameList(available)
    )]
    VersionMismatch {
        /// The execution.
        id: ExecutionId,
        /// Its workflow.
        workflow: String,
        /// The version it was begun with.
        recorded: u32,
        /// The versions this program has.
        available: Vec<String>,
    },
    /// The execution was written by a newer Flux.
    #[error(
        "execution `{id}` is of format {found}; this program reads formats up to {supported}: use a newer Flux"
    )]
    FormatTooNew {
        /// The execution.
        id: ExecutionId,
        /// Its format.
        found: u32,
        /// The newest format this program reads.
        supported: u32,
    },
    /// Somebody else drives the execution.
    #[error("execution `{id}` is already running: it is driven by {by}")]
    AlreadyRunning {
        /// The execution.
        id: ExecutionId,
        /// Who drives it.
        by: String,
    },
    /// The `concurrency` or the `lock` of the workflow allows no other execution beside those that have not finished.
    #[error(
        "the `concurrency` or `lock` of workflow `{workflow}` leaves no place for execution `{id}`: \
             execution `{holder}` has it and has not finished"
    )]
    LimitReached {
        /// The execution that cannot begin or continue.
        id: ExecutionId,
        /// Its workflow.
        workflow: String,
        /// The oldest execution that is in its way.
        holder: ExecutionId,
    },
    /// The id is taken by an execution with another input.
    #[error("execution `{id}` exists with another input: recorded `{recorded}`, given `{given}`")]
    InputMismatch {
        /// The execution.
        id: ExecutionId,
        /// Its input where the two differ: by JSON path unless they are short, without texts and long numbers.
        recorded: String,
        /// The input given now, in the same way.
        given: String,
    },
    /// A value given to Flux cannot be recorded, or is not of the type that is wanted.
    #[error("invalid {what}: {}{message}", place(.path))]
    InvalidInput {
        /// What was given, and for what.
        what: String,
        /// The JSON path of the guilty value; `.` is the whole.
        path: String,
        /// What is wrong with it.
        message: String,
    },
    /// A value is larger than the engine's payload limit.
    #[error(
        "{what} takes {size} bytes, and the payload limit is {limit}; \
             store it elsewhere and record a reference, or raise `payload_limit` on the engine's builder"
    )]
    PayloadTooLarge {
        /// Whose value.
        what: String,
        /// Its size in bytes.
        size: usize,
        /// The limit in bytes.
        limit: usize,
    },
    /// Several pause points wait; say which with `.at(name)`.
    #[error(
        "execution `{id}` waits at several pause points: {}; say which with `.at(name)`",
        NameList(names)
    )]
    AmbiguousPause {
        /// The execution.
        id: ExecutionId,
        /// Their names.
        names: Vec<String>,
    },
    /// No pause point of this name waits: it may have been answered already, or not been reached yet.
    #[error(
        "execution `{id}` does not wait at pause point `{name}`: it is {status} and {}{}",
        WaitsAt(pending),
        WaitedThere(*has_waited_there, *status)
    )]
    NotPausedAt {
        /// The execution.
        id: ExecutionId,
        /// The name asked for.
        name: String,
        /// The pause points that do wait.
        pending: Vec<String>,
        /// Where the execution stands.
        status: Status,
        /// Whether the execution has waited at a pause point of this name before; `None` where that was not looked up,
        /// as for a pause point of a child.
        has_waited_there: Option<bool>,
    },
    /// Somebody has asked for an answer to the pause point that nobody has delivered yet.
    #[error(
        "pause point `{name}` of execution `{id}` has been answered already; a `resume` without an answer delivers that"
    )]
    AlreadyAnswered {
        /// The execution.
        id: ExecutionId,
        /// The pause point.
        name: String,
    },
    /// A value was given, and no pause point waits for one.
    #[error("execution `{id}` waits at no pause point, so there is nothing to give a value to")]
    NotPaused {
        /// The execution.
        id: ExecutionId,
    },
    /// The pause point wants a value.
    #[error(
        "pause point `{name}` of execution `{id}` wants a value of type `{wanted}`; give one with `.with(&value)`"
    )]
    ResumeValueRequired {
        /// The execution.
        id: ExecutionId,
        /// The pause point.
        name: String,
        /// The type it wants.
        wanted: String,
    },
    /// The code no longer matches the history: see [`NonDeterminism`].
    #[error(transparent)]
    NonDeterminism(Box<NonDeterminism>),
    /// A recorded value is not of the type the code has today.
    #[error(
        "execution `{id}`, event {event}: the recorded {what} is no longer of the type the code has: {}{message}; \
             resume it with the build that wrote it, or let the type accept the old form",
        place(.path)
    )]
    ReplayDecode {
        /// The execution.
        id: ExecutionId,
        /// The event's number.
        event: EventSeq,
        /// Which value: `output of task `charge``.
        what: String,
        /// The JSON path of the guilty value.
        path: String,
        /// What is wrong with it.
        message: String,
    },
    /// The execution has finished.
    #[error("execution `{id}` has already finished: it is {status}")]
    AlreadyFinished {
        /// The execution.
        id: ExecutionId,
        /// How it ended.
        status: Status,
    },
    /// What is to be tried again has not failed.
    #[error(
        "execution `{id}` has not failed: it is {status}; `retry` is for what has failed, `resume` for what is paused or crashed"
    )]
    NotFailed {
        /// The execution.
        id: ExecutionId,
        /// Where it stands.
        status: Status,
    },
    /// The store holds no schedule of this name.
    #[error("there is no schedule `{id}` in store `{store}`")]
    ScheduleNotFound {
        /// The name asked for.
        id: String,
        /// Which store.
        store: String,
    },
    /// A schedule does not fire at this moment.
    #[error("schedule `{id}` does not fire at {at}{}; `ReleaseKind::Force` starts it all the same", NextTime(*next))]
    OffSchedule {
        /// The schedule.
        id: String,
        /// The moment asked for.
        at: Timestamp,
        /// The next moment after it at which it does.
        next: Option<Timestamp>,
    },
    /// The execution waits for its turn.
    #[error("execution `{id}` has not started: pause its queue, or cancel it")]
    NotStarted {
        /// The execution.
        id: ExecutionId,
    },
    /// An execution with the same dedup key has not finished.
    #[error("execution `{id}` has the dedup key `{key}` and has not finished")]
    Duplicate {
        /// The execution that has the key.
        id: ExecutionId,
        /// The key.
        key: String,
    },
    /// The execution lost its owner while this call drove it.
    #[error("execution `{id}` was taken over by another owner; nothing more was written from here")]
    TakenOver {
        /// The execution.
        id: ExecutionId,
    },
    /// The driver of the execution was stopped, by a runtime that shut down, say. It is resumable.
    #[error(
        "execution `{id}` is no longer driven: its driver was stopped, as by a crash; `resume` goes on with it"
    )]
    Interrupted {
        /// The execution.
        id: ExecutionId,
    },
    /// A registered task needs state that the engine does not have.
    #[error(
        "task `{task}` needs `State<{}>`, and the engine has none: add `.state(value)` to its builder",
        readable(state)
    )]
    MissingState {
        /// The task.
        task: String,
        /// The type it needs.
        state: String,
    },
    /// `run`, `start`, `resume` or `signal` was used inside a workflow, where each replay would do it again.
    #[error("`{what}` inside a workflow would happen again at every replay; {cure}")]
    InsideWorkflow {
        /// What was used.
        what: String,
        /// What to use instead.
        cure: String,
    },
    /// Something that needs the store was used in the statements of a transaction, which hold it.
    #[error(
        "`{what}` inside a transaction would wait for the store that the transaction holds: do it before or after"
    )]
    InsideTransaction {
        /// What was used.
        what: String,
    },
    /// The history is as long as a history may be.
    #[error(
        "execution `{id}` has {events} events, as many as a history may hold; \
             begin anew with `ctx.continue_as_new(input)` before it grows so long"
    )]
    HistoryTooLong {
        /// The execution.
        id: ExecutionId,
        /// How many events it has.
        events: u32,
    },
    /// A setting that cannot be.
    #[error("{0}")]
    Configuration(String),
    /// The store could not do its work; the execution stays resumable.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// The code and the history of an execution disagree: the code has changed since.
///
/// Nothing was written and no attempt is used up; the code that wrote the history can go on with it.
#[derive(Clone)]
pub struct NonDeterminism {
    /// The execution.
    pub id: ExecutionId,
    /// Its workflow.
    pub workflow: String,
    /// The event at which they part.
    pub event: EventSeq,
    /// What the history has there.
    pub recorded: String,
    /// What the code asked for instead.
    pub found: String,
    /// The line of the code that asked, where there is one.
    pub site: Option<String>,
    /// What else is worth knowing.
    pub note: Option<String>,
}

impl std::error::Error for NonDeterminism {}

/// What `main` prints when it returns the error: the same text, since the cure is in it.
impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// As that of [`Error`].
impl fmt::Debug for NonDeterminism {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for NonDeterminism {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            id,
            workflow,
            event,
            recorded,
            found,
            site,
            note,
        } = self;
        write!(
            f,
            "the code of workflow `{workflow}` no longer matches the history of execution `{id}`: "
        )?;
        write!(f, "event {event} has {recorded}, but the code {found}")?;
        if let Some(site) = site {
            write!(f, " at {site}")?;
        }
        write!(
            f,
            "; resume it with the code that wrote it, or guard the change with `flux::patched(\"..\")` or a new `version`"
        )?;
        note.iter().try_for_each(|note| write!(f, "; {note}"))
    }
}

impl From<NonDeterminism> for Error {
    fn from(error: NonDeterminism) -> Self {
        Self::NonDeterminism(Box::new(error))
    }
}

struct NameList<'a>(&'a [String]);

impl fmt::Display for NameList<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return f.write_str("none");
        }
        for (i, item) in self.0.iter().enumerate() {
            let comma = if i == 0 { "" } else { ", " };
            write!(f, "{comma}`{item}`")?;
        }
        Ok(())
    }
}

/// What other programs have said that they have, if they were asked for it.
struct InCatalog<'a>(&'a [String]);

impl fmt::Display for InCatalog<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return Ok(());
        }
        write!(f, ", and in the store's catalog are {}", NameList(self.0))
    }
}

struct NextTime(Option<Timestamp>);

impl fmt::Display for NextTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(next) => write!(f, ", the next time after that is {next}"),
            None => f.write_str(", and never after that"),
        }
    }
}

struct WaitsAt<'a>(&'a [String]);

impl fmt::Display for WaitsAt<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return f.write_str("waits at none");
        }
        write!(f, "waits at {}", NameList(self.0))
    }
}

/// What the history says of a pause point at which an execution does not wait.
struct WaitedThere(Option<bool>, Status);

impl fmt::Display for WaitedThere {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(true) => {
                f.write_str("; it waited there before, and was answered or stopped waiting")?;
            }
            Some(false) => f.write_str("; its code has not reached that pause point so far")?,
            None => {}
        }
        if self.1 == Status::Running {
            f.write_str("; if no process drives it, a `resume` without an answer continues it")?;
        }
        Ok(())
    }
}

/// The name and number an error shows for an event.
pub(crate) fn describe_event(kind: EventKind, name: &str) -> String {
    if name.is_empty() {
        kind.to_string()
    } else {
        format!("{kind} `{name}`")
    }
}
