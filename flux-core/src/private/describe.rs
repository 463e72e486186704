//! Errors of any type, made data.
//!
//! What can be seen of an error depends on what its type implements, and only the expansion knows the type. It calls
//! `(&&&&&See(&error)).flux_see()`: method lookup tries the receiver with the most references first, so the first tier wins
//! whose bounds hold. Whether the value itself can be recorded is asked the same way, independently.

use std::error::Error as StdError;
use std::fmt::{self, Display};
use std::marker::PhantomData;

use serde::Serialize;

use crate::error::{
    ErrorName, ErrorRecord, SeenType, TaskError, TaskErrorKind, Terminal, source_of,
};
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

impl<E> See<'_, E> {
    /// Its type.
    pub fn flux_type(&self) -> TypeOf<E> {
        TypeOf::NEW
    }
}

/// The type of an error.
pub struct TypeOf<E>(PhantomData<fn() -> E>);

impl<E> TypeOf<E> {
    /// The one value.
    pub const NEW: Self = Self(PhantomData);
}

impl<E> fmt::Debug for TypeOf<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TypeOf")
    }
}

impl<E: 'static> TypeOf<Terminal<E>> {
    /// The type that is recorded: that of the error inside.
    pub fn flux_seen_type(&self) -> SeenType {
        SeenType::of::<E>()
    }
}

/// The same for every other type; what is inherent is found first.
pub trait SeeType {
    /// The type that is recorded.
    fn flux_seen_type(&self) -> SeenType;
}

impl<E: 'static> SeeType for TypeOf<E> {
    fn flux_seen_type(&self) -> SeenType {
        SeenType::of::<E>()
    }
}

impl<E> See<'_, Terminal<E>> {
    /// Whether the error itself is terminal.
    pub fn flux_is_terminal(&self) -> bool {
        true
    }
}

/// The same for every other type; what is inherent is found first.
pub trait SeeTerminal {
    /// Whether the error itself is terminal.
    fn flux_is_terminal(&self) -> bool;
}

impl<E> SeeTerminal for See<'_, E> {
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
