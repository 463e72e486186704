//! What a `#[task]` expands to: its definition, and how a body is started.

use std::any::{Any, TypeId, type_name};
use std::collections::BTreeMap;
use std::fmt;
use std::future::Future;
use std::ops::Deref;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::error::{BodyError, ErrorRecord, TaskError, TaskErrorKind};
use crate::id::EventSeq;
use crate::payload::{Payload, PayloadError};
use crate::retry::Backoff;

/// A task as the macro describes it, one `static` per `#[task]`.
#[derive(Debug)]
pub struct TaskDef {
    /// The name, or with placeholders the template that names are made from.
    pub name: &'static str,
    /// The module it is defined in.
    pub module: &'static str,
    /// What the attribute says.
    pub options: TaskOptions,
    /// The state its parameters need.
    pub states: &'static [StateNeed],
    /// Starts the body on recorded arguments.
    pub start: StartBody,
    /// Starts the fallback on the same arguments.
    pub fallback: Option<StartBody>,
    /// Makes the call that undoes a call.
    pub rollback: Option<RollBack>,
    /// Decodes recorded arguments as today's types and encodes them again.
    pub reencode: Reencode,
}

/// Starts a body on recorded arguments.
pub type StartBody = fn(&Payload, &States) -> Result<Started, StartError>;

/// Makes the call that undoes a call, from its recorded arguments and, where it is known, its recorded output.
pub type RollBack = fn(&Payload, Option<&Payload>) -> Result<UndoCall, StartError>;

/// The call that undoes another, not yet made.
pub struct UndoCall(Box<dyn FnOnce(EventSeq) -> Undoing + Send>);

/// The call, made.
type Undoing = BoxFuture<'static, Result<(), TaskError>>;

impl UndoCall {
    pub(crate) fn new(make: impl FnOnce(EventSeq) -> Undoing + Send + 'static) -> Self {
        Self(Box::new(make))
    }

    /// Makes the call that undoes the call `undone`.
    pub(crate) fn make(self, undone: EventSeq) -> Undoing {
        (self.0)(undone)
    }
}

impl fmt::Debug for UndoCall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("UndoCall")
    }
}

/// Decodes as today's type and encodes again: two values are the same call's input when this makes
/// them equal.
pub type Reencode = fn(&Payload) -> Result<Payload, PayloadError>;

/// Decodes as today's type and encodes again.
pub fn reencode<T: Serialize + DeserializeOwned>(
    recorded: &Payload,
) -> Result<Payload, PayloadError> {
    Payload::encode(&recorded.decode::<T>()?)
}

/// What a `#[task]` attribute says about attempts and time.
#[derive(Debug, Clone, Copy)]
pub struct TaskOptions {
    /// Total tries, at least 1; `None`: the engine's default. `u32::MAX` is unlimited.
    pub max_attempts: Option<u32>,
    /// The wait between attempts; `None`: the engine's default.
    pub backoff: Option<Backoff>,
    /// The limit of one attempt.
    pub timeout: Option<Duration>,
    /// The limit of all attempts with their waits.
    pub deadline: Option<Duration>,
    /// Whether an attempt that was cut off by a crash is never repeated.
    pub at_most_once: bool,
}

impl TaskOptions {
    /// What a bare `#[task]` says: nothing.
    pub const DEFAULT: Self = Self {
        max_attempts: None,
        backoff: None,
        timeout: None,
        deadline: None,
        at_most_once: false,
    };
}

/// A body that has been given its arguments but has not run yet.
pub enum Started {
    /// An async body, run as a tokio task of its own.
    Async(BodyFuture),
    /// A blocking body, run on the blocking pool.
    Blocking(Box<dyn FnOnce() -> BodyResult + Send>),
}

impl fmt::Debug for Started {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Async(_) => "Started::Async",
            Self::Blocking(_) => "Started::Blocking",
        })
    }
}

/// A running async body.
pub type BodyFuture = Pin<Box<dyn Future<Output = BodyResult> + Send>>;

/// How one attempt of a body ended.
pub type BodyResult = Result<BodyOutput, BodyError>;

/// Why a body could not even begin.
#[derive(Debug, Clone)]
pub enum StartError {
    /// The recorded arguments are not of today's types.
    Arguments(PayloadError),
    /// A `State<T>` parameter has nothing to be taken from.
    MissingState(&'static str),
}

/// What a body returned: the record of it and, decoded from that record, the value to hand on.
pub struct BodyOutput {
    /// The record.
    pub payload: Payload,
    /// The decoded value, a `T`.
    pub value: Box<dyn Any + Send>,
}

impl fmt::Debug for BodyOutput {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("BodyOutput").field(&self.payload).finish()
    }
}

/// Records what a body returned and decodes it again, so that live and replay see the same.
///
/// # Errors
///
/// A value that does not survive its own round trip, or that has no fixed order, fails the call, with its JSON path.
pub fn success<T: Serialize + DeserializeOwned + Send + 'static>(value: &T) -> BodyResult {
    let recorded = Payload::record_again(value, reencode::<T>).and_then(|payload| {
        let value: T = payload.decode()?;
        Ok(BodyOutput {
            payload,
            value: Box::new(value),
        })
    });
    recorded.map_err(|error| BodyError {
        record: Box::new(ErrorRecord::message(format!(
            "its output cannot be recorded: {error}"
        ))),
        kind: TaskErrorKind::Failed,
        retryable: false,
        tasks: Vec::new(),
    })
}

/// The state a task's parameter needs, for the check when an engine is built.
#[derive(Clone, Copy)]
pub struct StateNeed {
    id: fn() -> TypeId,
    name: fn() -> &'static str,
}

impl StateNeed {
    /// The need for a `State<T>`.
    pub const fn of<T: Send + Sync + 'static>() -> Self {
        Self {
            id: TypeId::of::<T>,
            name: type_name::<T>,
        }
    }

    /// The name of the type.
    pub fn name(&self) -> &'static str {
        (self.name)()
    }

    pub(crate) fn is_met(&self, states: &States) -> bool {
        states.values.contains_key(&(self.id)())
    }
}

impl fmt::Debug for StateNeed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A dependency injected into tasks: a parameter `db: State<Pool>` is taken from
/// `Engine::builder().state(pool)` and is no part of the call.
///
/// It dereferences to `T`. Nothing of it is recorded.
#[derive(Debug)]
pub struct State<T: ?Sized> {
    value: Arc<T>,
}

impl<T> State<T> {
    /// Wraps a value, for tests that call what takes a `State` directly.
    pub fn new(value: T) -> Self {
        Self {
            value: Arc::new(value),
        }
    }
}

impl<T: ?Sized> Clone for State<T> {
    fn clone(&self) -> Self {
        Self {
            value: Arc::clone(&self.value),
        }
    }
}

impl<T: ?Sized> Deref for State<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}

/// The injected dependencies by type.
#[derive(Clone, Default)]
pub struct States {
    values: BTreeMap<TypeId, Arc<dyn Any + Send + Sync>>,
}

impl States {
    /// Adds or replaces the value of type `T`.
    pub fn insert<T: Send + Sync + 'static>(&mut self, value: T) {
        self.values.insert(TypeId::of::<T>(), Arc::new(value));
    }

    /// The value of type `T`.
    pub fn get<T: Send + Sync + 'static>(&self) -> Result<State<T>, StartError> {
        self.values
            .get(&TypeId::of::<T>())
            .and_then(|value| Arc::clone(value).downcast::<T>().ok())
            .map(|value| State { value })
            .ok_or(StartError::MissingState(type_name::<T>()))
    }
}

impl fmt::Debug for States {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("States")
            .field("count", &self.values.len())
            .finish()
    }
}
