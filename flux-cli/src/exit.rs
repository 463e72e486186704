//! Exit codes, and why a command ended with one that is not 0.

use std::fmt;

use flux_core::{Error, Status};

/// What the process ends with. Documented in `docs/cli.md`; the numbers never change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Exit {
    Done = 0,
    /// A store, a file, a network: nothing that was asked is wrong.
    Operational = 1,
    /// What was asked is wrong.
    Usage = 2,
    /// There is none of this name, or several.
    NotFound = 3,
    ExecutionFailed = 4,
    /// The execution was cancelled or terminated.
    ExecutionEnded = 5,
    /// It has not finished: the wait is over, or it is paused.
    Unfinished = 6,
    /// It runs elsewhere, has finished, or its code has changed.
    Conflict = 7,
    Interrupted = 130,
}

impl Exit {
    pub(crate) fn code(self) -> i32 {
        i32::from(self as u8)
    }

    /// What a command ends with that waited for an execution.
    pub(crate) fn of(status: Status) -> Self {
        match status {
            Status::Completed => Self::Done,
            Status::Failed => Self::ExecutionFailed,
            Status::Cancelled | Status::Terminated => Self::ExecutionEnded,
            _ => Self::Unfinished,
        }
    }
}

/// Why a command failed, and what to do about it.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) exit: Exit,
    pub(crate) message: String,
    pub(crate) hint: Option<String>,
}

/// What a command comes to.
pub(crate) type Outcome = Result<Exit, Failure>;

impl Failure {
    pub(crate) fn new(exit: Exit, message: impl fmt::Display) -> Self {
        Self {
            exit,
            message: message.to_string(),
            hint: None,
        }
    }

    pub(crate) fn usage(message: impl fmt::Display) -> Self {
        Self::new(Exit::Usage, message)
    }

    pub(crate) fn operational(message: impl fmt::Display) -> Self {
        Self::new(Exit::Operational, message)
    }

    pub(crate) fn not_found(message: impl fmt::Display) -> Self {
        Self::new(Exit::NotFound, message)
    }

    pub(crate) fn conflict(message: impl fmt::Display) -> Self {
        Self::new(Exit::Conflict, message)
    }

    /// Adds what to do.
    pub(crate) fn hint(mut self, hint: impl fmt::Display) -> Self {
        self.hint = Some(hint.to_string());
        self
    }
}

impl Failure {
    /// Adds the name that may have been meant.
    pub(crate) fn did_you_mean(self, near: Option<&str>) -> Self {
        match near {
            Some(near) => self.hint(format!("did you mean `{near}`?")),
            None => self,
        }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        let exit = exit_of(&error);
        match &error {
            // The library's cure is a line of Rust.
            Error::AmbiguousPause { id, names } => Self::new(
                exit,
                format!(
                    "execution `{id}` waits at several pause points: {}",
                    names.join(", ")
                ),
            )
            .hint("say which with `--at NAME`"),
            Error::ResumeValueRequired { id, name, wanted } => Self::new(
                exit,
                format!(
                    "pause point `{name}` of execution `{id}` wants a value of type `{wanted}`"
                ),
            )
            .hint("give it as JSON after the id"),
            Error::WorkflowNotFound { name, .. } => {
                Self::new(exit, format!("no workflow `{name}` is known here"))
            }
            _ => Self::new(exit, error),
        }
    }
}

/// Standard output could not take what was written. A reader that has had enough is no failure.
impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        if error.kind() == std::io::ErrorKind::BrokenPipe {
            return Self::new(Exit::Done, "");
        }
        Self::operational(format!("could not write: {error}"))
    }
}

#[expect(
    clippy::match_same_arms,
    reason = "what was chosen is told apart from what is not known here"
)]
fn exit_of(error: &Error) -> Exit {
    match error {
        Error::ExecutionNotFound { .. }
        | Error::WorkflowNotFound { .. }
        | Error::ScheduleNotFound { .. } => Exit::NotFound,
        Error::InvalidInput { .. }
        | Error::PayloadTooLarge { .. }
        | Error::AmbiguousPause { .. }
        | Error::ResumeValueRequired { .. }
        | Error::OffSchedule { .. } => Exit::Usage,
        Error::WorkflowMismatch { .. }
        | Error::VersionMismatch { .. }
        | Error::FormatTooNew { .. }
        | Error::AlreadyRunning { .. }
        | Error::LimitReached { .. }
        | Error::InputMismatch { .. }
        | Error::NotPausedAt { .. }
        | Error::AlreadyAnswered { .. }
        | Error::NotPaused { .. }
        | Error::NonDeterminism(_)
        | Error::ReplayDecode { .. }
        | Error::AlreadyFinished { .. }
        | Error::NotStarted { .. }
        | Error::NotFailed { .. }
        | Error::Duplicate { .. }
        | Error::TakenOver { .. }
        | Error::Interrupted { .. } => Exit::Conflict,
        Error::DuplicateWorkflow { .. }
        | Error::MissingState { .. }
        | Error::InsideWorkflow { .. }
        | Error::InsideTransaction { .. }
        | Error::HistoryTooLong { .. }
        | Error::Configuration(_)
        | Error::Store(_) => Exit::Operational,
        // `Error` may grow; a test of the workspace says so when a variant has no arm here.
        _ => Exit::Operational,
    }
}
