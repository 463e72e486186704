//! Asks of a type whether it meets a requirement, and goes on compiling if it does not.
//!
//! An inherent constant is found before one of a trait. So `Probe::<T>::FLUX_RECORDABLE` is the inherent `true` where the
//! bounds of its `impl` hold, and elsewhere the `false` of [`Otherwise`]. That works for concrete types only, which all
//! types of a task or workflow are.

use std::fmt::Display;
use std::marker::PhantomData;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::context::ExecutionContext;
use crate::task::State;

/// The type that is asked.
#[derive(Debug)]
pub struct Probe<T>(PhantomData<T>);

/// What holds where no inherent constant does.
pub trait Otherwise {
    /// Whether the type is a `Result`, by whatever name.
    const FLUX_RESULT: bool = false;
    /// Whether values of the type can be recorded.
    const FLUX_RECORDABLE: bool = false;
    /// Whether the type is an `ExecutionContext<_>`, by whatever name.
    const FLUX_CONTEXT: bool = false;
    /// Whether the type can be a workflow's input.
    const FLUX_INPUT: bool = false;
    /// Whether the type has a default that can be recorded.
    const FLUX_DEFAULT: bool = false;
    /// Whether the type can be shown.
    const FLUX_DISPLAY: bool = false;
    /// Whether values of the type can be encoded.
    const FLUX_SERIALIZE: bool = false;
    /// Whether the type is a `State<_>`, by whatever name.
    const FLUX_STATE: bool = false;
}

impl<T> Otherwise for Probe<T> {}

impl<T, E> Probe<Result<T, E>> {
    #[doc(hidden)]
    pub const FLUX_RESULT: bool = true;
}

impl<T: Serialize + DeserializeOwned + Send> Probe<T> {
    #[doc(hidden)]
    pub const FLUX_RECORDABLE: bool = true;
}

impl<T: Serialize + DeserializeOwned + Send + Sync> Probe<T> {
    #[doc(hidden)]
    pub const FLUX_INPUT: bool = true;
}

impl<T: Serialize + Default> Probe<T> {
    #[doc(hidden)]
    pub const FLUX_DEFAULT: bool = true;
}

impl<I> Probe<ExecutionContext<I>> {
    #[doc(hidden)]
    pub const FLUX_CONTEXT: bool = true;
}

impl<T: Display> Probe<T> {
    #[doc(hidden)]
    pub const FLUX_DISPLAY: bool = true;
}

impl<T: Serialize> Probe<T> {
    #[doc(hidden)]
    pub const FLUX_SERIALIZE: bool = true;
}

impl<T> Probe<State<T>> {
    #[doc(hidden)]
    pub const FLUX_STATE: bool = true;
}
