//! Errors of any type, made data.
//!
//! What can be seen of an error depends on what its type implements, and only the expansion knows the type. It calls
//! `(&&&&&See(&error)).flux_see()`: method lookup tries the receiver with the most references first, so the first tier wins
//! whose bounds hold. Whether the value itself can be recorded is asked the same way, independently.

use std::any::type_name;
use std::error::Error as StdError;
use std::fmt::{self, Display};

use serde::Serialize;

use crate::error::{ErrorRecord, TaskError, TaskErrorKind, Terminal, source_of};
use crate::payload::Payload;
use crate::task::BodyError;
use crate::type_name::readable;

/// An error to be looked at.
pub struct See<'a, E>(pub &'a E);

impl<E> fmt::Debug for See<'_, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("See")
    }
}

impl<E> See<'_, Terminal<E>> {
    /// The name that is recorded: that of the error inside.
    pub fn flux_type_name(&self) -> &'static str {
        type_name::<E>()
    }

    /// Whether the error itself is terminal.
    pub fn flux_is_terminal(&self) -> bool {
        true
    }
}

/// The same for every other type; what is inherent is found first.
pub trait SeeName {
    /// The name that is recorded.
    fn flux_type_name(&self) -> &'static str;

    /// Whether the error itself is terminal.
    fn flux_is_terminal(&self) -> bool;
}

impl<E> SeeName for See<'_, E> {
    fn flux_type_name(&self) -> &'static str {
        type_name::<E>()
    }

    fn flux_is_terminal(&self) -> bool {
        false
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

/// First tier: an `Error`.
pub trait SeeError {
    /// Looks at it.
    fn flux_see(&self) -> Seen;
}

impl<E: StdError + 'static> SeeError for &&&&See<'_, E> {
    fn flux_see(&self) -> Seen {
        Seen::of(self.0)
    }
}

/// Second tier: a box of an `Error`, such as `anyhow::Error` or `Box<dyn Error + Send + Sync>`.
pub trait SeeBoxed {
    /// Looks at it.
    fn flux_see(&self) -> Seen;
}

impl<E: AsRef<dyn StdError + Send + Sync>> SeeBoxed for &&&See<'_, E> {
    fn flux_see(&self) -> Seen {
        Seen::of(self.0.as_ref())
    }
}

/// Third tier: a box of an `Error` that stays on its thread, such as `Box<dyn Error>`.
pub trait SeeLocal {
    /// Looks at it.
    fn flux_see(&self) -> Seen;
}

impl<E: AsRef<dyn StdError>> SeeLocal for &&See<'_, E> {
    fn flux_see(&self) -> Seen {
        Seen::of(self.0.as_ref())
    }
}

/// Fourth tier: text, or whatever can be shown.
pub trait SeeDisplay {
    /// Looks at it.
    fn flux_see(&self) -> Seen;
}

impl<E: Display> SeeDisplay for &See<'_, E> {
    fn flux_see(&self) -> Seen {
        Seen {
            message: self.0.to_string(),
            ..Seen::default()
        }
    }
}

/// Last tier: what an assertion has refused already.
pub trait SeeAnything {
    /// Looks at it.
    fn flux_see(&self) -> Seen;
}

impl<E> SeeAnything for See<'_, E> {
    fn flux_see(&self) -> Seen {
        Seen::default()
    }
}

/// A value that can be recorded whole.
pub trait SeeValue {
    /// The value as JSON.
    fn flux_json(&self) -> Option<Payload>;
}

impl<E: Serialize> SeeValue for &See<'_, E> {
    fn flux_json(&self) -> Option<Payload> {
        Payload::encode(self.0).ok()
    }
}

/// A value that cannot.
pub trait SeeNoValue {
    /// Nothing.
    fn flux_json(&self) -> Option<Payload>;
}

impl<E> SeeNoValue for See<'_, E> {
    fn flux_json(&self) -> Option<Payload> {
        None
    }
}

impl Seen {
    fn of(error: &(dyn StdError + 'static)) -> Self {
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
}

/// Puts together what was learnt of a body's error. It is worth another attempt if the task's `retry_if` says so and
/// nobody has called it terminal.
pub fn body_error(
    type_name: &str,
    seen: Seen,
    json: Option<Payload>,
    is_terminal: bool,
    retry_if: bool,
) -> BodyError {
    let Seen {
        message,
        chain,
        tasks,
        is_terminal: found_terminal,
    } = seen;
    BodyError {
        record: ErrorRecord {
            type_name: readable(type_name),
            message,
            chain,
            json,
        },
        kind: TaskErrorKind::Failed,
        retryable: retry_if && !is_terminal && !found_terminal,
        tasks,
    }
}

/// The same for an error whose type is no longer known: a step's.
pub fn describe_dyn(type_name: &str, error: &(dyn StdError + 'static)) -> BodyError {
    body_error(type_name, Seen::of(error), None, false, true)
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
