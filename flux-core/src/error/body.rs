//! `BodyError`: what a body or a workflow's code failed with, made data.

use std::any::Any;
use std::error::Error as StdError;
use std::fmt;

use super::{ErrorName, ErrorRecord, SeenType, TaskError, TaskErrorKind, source_of};
use crate::payload::Payload;
use crate::type_name::readable;

/// How an attempt failed.
#[derive(Debug, Clone)]
pub struct BodyError {
    /// The error as data; in a box, so that a result that holds it stays small.
    pub record: Box<ErrorRecord>,
    /// What sort of failure it is.
    pub kind: TaskErrorKind,
    /// Whether another attempt is worth while.
    pub retryable: bool,
    /// The failed calls found in the error's source chain.
    pub tasks: Vec<TaskError>,
}

impl BodyError {
    /// Describes an error whose type nothing is known of but its name.
    #[expect(
        clippy::borrowed_box,
        reason = "a caller's `into()` has to know that it is a box"
    )]
    pub fn from_box(type_name: &str, error: &Box<dyn StdError + Send + Sync>) -> Self {
        describe_dyn(type_name, &**error)
    }

    /// A failure that another attempt would not mend.
    pub fn final_message(message: impl Into<String>) -> Self {
        Self {
            record: Box::new(ErrorRecord::message(message)),
            kind: TaskErrorKind::Failed,
            retryable: false,
            tasks: Vec::new(),
        }
    }
}

/// What was seen of an error.
#[derive(Debug, Default)]
pub struct Seen {
    message: String,
    chain: Vec<String>,
    tasks: Vec<TaskError>,
    is_terminal: bool,
}

impl Seen {
    /// Looks at an error and its sources.
    pub(crate) fn of(error: &(dyn StdError + 'static)) -> Self {
        let mut seen = Self {
            message: error.to_string(),
            ..Self::default()
        };
        let mut next = Some(error);
        while let Some(error) = next {
            let (source, asked) = source_of(error);
            seen.is_terminal |= asked.terminal;
            seen.tasks.extend(asked.tasks);
            seen.chain.extend(source.map(ToString::to_string));
            next = source;
        }
        seen
    }

    /// Takes what can be shown for the message: nothing else is known of it.
    pub(crate) fn shown(error: &impl fmt::Display) -> Self {
        Self {
            message: error.to_string(),
            ..Self::default()
        }
    }

    fn into_error(self) -> BodyError {
        BodyError {
            record: Box::new(ErrorRecord {
                chain: self.chain,
                ..ErrorRecord::message(self.message)
            }),
            kind: TaskErrorKind::Failed,
            retryable: !self.is_terminal,
            tasks: self.tasks,
        }
    }
}

/// Puts together what was learnt of a body's error. It is worth another attempt if the task's `retry_if` says so and
/// nobody has called it terminal.
pub fn body_error(
    ty: SeenType,
    name: Option<&ErrorName>,
    seen: Seen,
    json: Option<Payload>,
    is_terminal: bool,
    retry_if: bool,
) -> BodyError {
    let mut error = seen.into_error();
    error.record.type_name = ty.rust_name();
    error.record.name = name
        .and_then(|name| name.for_type(ty.id()))
        .map(str::to_owned);
    error.record.json = json;
    error.retryable &= retry_if && !is_terminal;
    error
}

/// The same for an error whose type is no longer known: a step's.
pub fn describe_dyn(type_name: &str, error: &(dyn StdError + 'static)) -> BodyError {
    let mut error = Seen::of(error).into_error();
    error.record.type_name = readable(type_name);
    error
}

/// What a panic said.
pub(crate) fn panic_message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "a panic without a message".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::{TaskFailure, terminal};

    #[derive(Debug, thiserror::Error)]
    enum ShopError {
        #[error("with a message")]
        Sourced(#[from] TaskError),
        #[error(transparent)]
        Transparent(Box<dyn StdError + Send + Sync>),
    }

    fn failed() -> TaskError {
        let error = ErrorRecord::message("declined");
        TaskError::unrecorded(TaskFailure {
            task: "charge".into(),
            kind: TaskErrorKind::Failed,
            attempts: 1,
            error,
            undone: Vec::new(),
        })
    }

    #[test]
    fn a_failed_call_is_found_wherever_it_hides() {
        let errors: [Box<dyn StdError>; 6] = [
            Box::new(failed()),
            Box::new(Box::new(failed())),
            Box::new(std::sync::Arc::new(failed())),
            Box::new(ShopError::Sourced(failed())),
            Box::new(ShopError::Transparent(failed().into())),
            Box::new(ShopError::Transparent(ShopError::Sourced(failed()).into())),
        ];
        for error in errors {
            let described = describe_dyn("", &*error);
            let tasks: Vec<&str> = described.tasks.iter().map(TaskError::task).collect();
            assert_eq!(tasks, ["charge"], "{error:?}");
            assert!(described.retryable, "{error:?}");
        }
    }

    #[test]
    fn a_terminal_error_is_found_wherever_it_hides() {
        let errors: [Box<dyn StdError>; 3] = [
            Box::new(terminal("no")),
            Box::new(ShopError::Transparent(terminal(failed()).into())),
            Box::new(terminal(ShopError::Sourced(failed()))),
        ];
        for error in errors {
            assert!(!describe_dyn("", &*error).retryable, "{error:?}");
        }
    }

    #[test]
    fn what_is_asked_by_somebody_else_is_not_taken_for_ours() {
        assert!(terminal("no").source().is_none());
        assert!(describe_dyn("", &fmt::Error).retryable);
    }
}
