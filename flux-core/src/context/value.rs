//! `now`, `uuid`, `random`, `publish`, `patched`: values that are the same in every replay.

use std::panic::Location;
use std::sync::Arc;
use std::time::SystemTime;

use serde::Serialize;
use serde::de::DeserializeOwned;
use uuid::Uuid;

use super::current;
use super::shared::Fault;
use crate::clock::Timestamp;
use crate::event::EventKind;
use crate::payload::Payload;

/// The time, the same in every replay: that of the event the code is reacting to, and so constant between two
/// awaits. Outside a workflow it is the system's time.
pub fn now() -> SystemTime {
    let at = current::workflow().map_or_else(Timestamp::now, |shared| shared.state().at);
    at.into()
}

/// A new random UUID, recorded: every replay is given the same. Costs no commit of its own.
#[track_caller]
pub fn uuid() -> Uuid {
    recorded("uuid", Uuid::new_v4)
}

/// A random value, recorded: every replay is given the same. Costs no commit of its own.
///
/// Numbers are drawn from their whole range, floats from 0 to 1. Not for keys or passwords: the history
/// shows it.
///
/// # Examples
///
/// ```
/// let coin: bool = flux::random();
/// let share: f64 = flux::random();
/// assert!(share < 1.0);
/// # let _ = coin;
/// ```
#[track_caller]
pub fn random<T: Random>() -> T {
    recorded("random", T::draw)
}

/// What [`random`] can draw.
pub trait Random: Serialize + DeserializeOwned + sealed::Sealed {
    #[doc(hidden)]
    fn draw() -> Self;
}

mod sealed {
    pub trait Sealed {}
}

macro_rules! random {
    ($($type:ty => $draw:expr;)*) => {
        $(impl sealed::Sealed for $type {}
        impl Random for $type {
            fn draw() -> Self { $draw }
        })*
    };
}

random! {
    bool => fastrand::bool();
    u8 => fastrand::u8(..);
    u16 => fastrand::u16(..);
    u32 => fastrand::u32(..);
    u64 => fastrand::u64(..);
    usize => fastrand::usize(..);
    i8 => fastrand::i8(..);
    i16 => fastrand::i16(..);
    i32 => fastrand::i32(..);
    i64 => fastrand::i64(..);
    isize => fastrand::isize(..);
    f32 => fastrand::f32();
    f64 => fastrand::f64();
    [u8; 16] => fastrand::u128(..).to_le_bytes();
}

#[track_caller]
fn recorded<T: Serialize + DeserializeOwned>(name: &str, draw: fn() -> T) -> T {
    let Some(shared) = current::workflow() else {
        return draw();
    };
    let site = Location::caller();
    let make = || Payload::encode(&draw()).unwrap_or_else(|_| Payload::null());
    let Some(payload) = shared.value(EventKind::ValueRecorded, &name.into(), site, make) else {
        // The history has no such value: the execution is stopped before anything is made of this one.
        return draw();
    };
    payload.decode().unwrap_or_else(|error| {
        let event = shared.state().delivery;
        shared.fail(Fault::Decode {
            event,
            what: format!("value `{name}`"),
            error,
        });
        draw()
    })
}

/// Shows a value of the workflow to the outside, under a key: its latest value can be read while the
/// execution runs and afterwards with [`Engine::published`](crate::Engine::published). Costs no commit of its
/// own; a replay publishes nothing again. Outside a workflow it does nothing.
///
/// # Panics
///
/// When `value` cannot be written as JSON (a map with keys that are not text), has no fixed order (a `HashSet`), or takes
/// more bytes than the payload limit; as any panic of workflow code, that fails the execution.
#[track_caller]
pub fn publish<T: Serialize + ?Sized>(key: impl Into<String>, value: &T) {
    let Some(shared) = current::workflow() else {
        return;
    };
    let key: Arc<str> = key.into().into();
    let payload = Payload::record(value).unwrap_or_else(|error| {
        panic!("the value published as `{key}` cannot be recorded: {error}")
    });
    // Not checked in a replay: the limit may have been higher when the value was recorded.
    if shared.state().replaying {
        return;
    }
    let (size, limit) = (payload.size(), shared.env.payload_limit);
    assert!(
        size <= limit,
        "the value published as `{key}` takes {size} bytes, and the payload limit is {limit}"
    );
    shared.value(EventKind::Published, &key, Location::caller(), || payload);
}

/// Guards a change of a workflow's code: `true` where the new code is to run, `false` where the history was
/// written by the old.
///
/// The first answer for an id holds for the rest of the execution. A workflow that has no old executions
/// left may drop the guard and keep the new side. Outside a workflow it is `true`.
///
/// # Examples
///
/// ```
/// # use flux::{task, workflow, ExecutionContext, TaskError};
/// # #[task] async fn charge() {}
/// # #[task] async fn check_fraud() {}
/// #[workflow]
/// async fn checkout(_ctx: ExecutionContext) -> Result<(), TaskError> {
///     if flux::patched("fraud-check") {
///         check_fraud().await?;
///     }
///     charge().await
/// }
/// ```
#[track_caller]
pub fn patched(id: impl Into<String>) -> bool {
    let site = Location::caller();
    let id: Arc<str> = id.into().into();
    current::workflow().is_none_or(|shared| shared.patched(&id, site))
}
