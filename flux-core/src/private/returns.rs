//! `T` or `Result<T, E>`: what a body returns, known as a type.

use crate::error::BodyError;
use std::convert::Infallible;
use std::future::{Future, Ready, ready};

/// What a body returns, taken apart. `RESULT` says which it is: `Probe::<R>::FLUX_RESULT` knows also where an alias hides it.
pub trait Returns<const RESULT: bool>: Sized {
    /// The value.
    type Ok;
    /// The error, [`Infallible`] where there is none.
    type Err;

    /// Either of them.
    fn split(self) -> Result<Self::Ok, Self::Err>;
}

impl<T> Returns<false> for T {
    type Ok = T;
    type Err = Infallible;

    fn split(self) -> Result<T, Infallible> {
        Ok(self)
    }
}

impl<T, E> Returns<true> for Result<T, E> {
    type Ok = T;
    type Err = E;

    fn split(self) -> Self {
        self
    }
}

/// Records what a body returned: its value, or its error.
pub fn finish<R: Returns<RESULT>, const RESULT: bool, O>(
    returned: R,
    record: fn(&R::Ok) -> Result<O, BodyError>,
    describe: fn(&R::Err) -> BodyError,
) -> Result<O, BodyError> {
    match returned.split() {
        Ok(value) => record(&value),
        Err(error) => Err(describe(&error)),
    }
}

/// What calling a fallback gives: a future, or the value at once.
#[derive(Debug)]
pub struct Given<F>(pub F);

impl<F: Future> Given<F> {
    /// The future.
    pub fn flux_given(self) -> F {
        self.0
    }
}

/// What is not a future; what is inherent is found first.
pub trait GivenAtOnce: Sized {
    /// The value.
    type Value;

    /// A future of the value.
    fn flux_given(self) -> Ready<Self::Value>;
}

impl<T> GivenAtOnce for Given<T> {
    type Value = T;

    fn flux_given(self) -> Ready<T> {
        ready(self.0)
    }
}

/// What a fallback may give for a task of `T`: a `T`, or a `Result` of it.
#[diagnostic::on_unimplemented(
    message = "the fallback gives `{Self}`, and its task gives `{T}`",
    label = "gives `{Self}`",
    note = "a fallback stands in for its task: it is a task or a function, `async` or not, with the same arguments \
            that gives `{T}` or a `Result` of it"
)]
pub trait IntoResultOf<T> {
    /// The error, [`Infallible`] where there is none.
    type Err;

    /// Either of them.
    fn into_result(self) -> Result<T, Self::Err>;
}

impl<T> IntoResultOf<T> for T {
    type Err = Infallible;

    fn into_result(self) -> Result<T, Infallible> {
        Ok(self)
    }
}

impl<T, E> IntoResultOf<T> for Result<T, E> {
    type Err = E;

    fn into_result(self) -> Self {
        self
    }
}
