//! Errors of any type, made data.
//!
//! What can be seen of an error depends on what its type implements, and only the expansion knows the type. It calls
//! `(&&&&&See(&error)).flux_see()`: method lookup tries the receiver with the most references first, so the first tier wins
//! whose bounds hold. Whether the value itself can be recorded is asked the same way, independently.

use std::error::Error as StdError;
use std::fmt::{self, Display};
use std::marker::PhantomData;

use serde::Serialize;

use crate::error::{Seen, SeenType, Terminal};
use crate::payload::Payload;

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
        Seen::shown(self.0)
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
