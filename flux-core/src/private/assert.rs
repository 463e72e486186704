//! One assertion for each requirement, with Flux's own words where it is not met.

use crate::task::{StartError, State, StateNeed, States};

/// What a task takes.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be recorded in the history",
    label = "not recordable: it needs serde's `Serialize` and `Deserialize`, and to be `Send`",
    note = "derive both: `#[derive(serde::Serialize, serde::Deserialize)]`",
    note = "or, if it is a dependency such as a pool or a client, inject it: `State<{Self}>`"
)]
pub trait RecordableArgument<const RECORDABLE: bool> {}

impl<T> RecordableArgument<true> for T {}

/// Asserts that `T` can be an argument.
pub const fn assert_argument<T: RecordableArgument<RECORDABLE>, const RECORDABLE: bool>() {}

/// What a task or workflow gives.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be recorded in the history",
    label = "not recordable: it needs serde's `Serialize` and `Deserialize`, and to be `Send`",
    note = "derive both: `#[derive(serde::Serialize, serde::Deserialize)]`"
)]
pub trait RecordableOutput<const RECORDABLE: bool> {}

impl<T> RecordableOutput<true> for T {}

/// Asserts that `T` can be an output.
pub const fn assert_output<T: RecordableOutput<RECORDABLE>, const RECORDABLE: bool>() {}

/// What a workflow is given.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be the input of a workflow",
    label = "not recordable: it needs serde's `Serialize` and `Deserialize`, and to be `Send` and `Sync`",
    note = "derive both: `#[derive(serde::Serialize, serde::Deserialize)]`"
)]
pub trait RecordableInput<const INPUT: bool> {}

impl<T> RecordableInput<true> for T {}

/// Asserts that `T` can be a workflow's input.
pub const fn assert_input<T: RecordableInput<INPUT>, const INPUT: bool>() {}

/// What a workflow with a `schedule` is given.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be the input of a workflow with a `schedule`, which has none to give",
    label = "not `Default`",
    note = "implement `Default` for it, for instance with `#[derive(Default)]`: that is the input of a scheduled execution",
    note = "or take an `Option` of it, or no input"
)]
pub trait ScheduledInput<const DEFAULT: bool> {}

impl<T> ScheduledInput<true> for T {}

/// Asserts that `T` can be the input of a scheduled workflow.
pub const fn assert_scheduled<T: ScheduledInput<DEFAULT>, const DEFAULT: bool>() {}

/// What a task or workflow fails with.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be an error of a task or workflow: it has no message",
    label = "not `Display`",
    note = "implement `std::fmt::Display` for it, for instance with `#[derive(thiserror::Error)]`"
)]
pub trait ErrorType<const DISPLAY: bool> {}

impl<T> ErrorType<true> for T {}

/// Asserts that `E` can be shown.
pub const fn assert_error<E: ErrorType<DISPLAY>, const DISPLAY: bool>() {}

/// Whatever is not a `State<_>` by another name.
#[diagnostic::on_unimplemented(
    message = "`{Self}` under another name is not seen to be injected",
    label = "write it as `State<..>`",
    note = "`#[task]` sees the name of a type and not what it stands for"
)]
pub trait NotState<const STATE: bool> {}

impl<T> NotState<false> for T {}

/// Asserts that `T` is not a `State<_>`.
pub const fn assert_not_state<T: NotState<STATE>, const STATE: bool>() {}

/// A `Result`, where the signature calls something so.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is called `Result` but is not `std::result::Result`",
    label = "not a `std::result::Result`",
    note = "a task or workflow returns a value, or a `Result` of it; give a type of your own another name"
)]
pub trait ResultOf {
    /// The value.
    type Ok;
}

impl<T, E> ResultOf for Result<T, E> {
    type Ok = T;
}

/// A return type that has an error for `retry_if` to look at.
#[diagnostic::on_unimplemented(
    message = "`retry_if` needs a task that returns a `Result`, and this one returns `{Self}`",
    label = "there is no error to look at",
    note = "let the task return a `Result`, or leave out `retry_if`"
)]
pub trait Fallible<const RESULT: bool> {
    /// The error.
    type Error;
}

impl<T, E> Fallible<true> for Result<T, E> {
    type Error = E;
}

/// A return type that has an error to be named.
#[diagnostic::on_unimplemented(
    message = "`error` names the type of an error, and this returns `{Self}`, which is not a `Result`",
    label = "there is no error to name",
    note = "return a `Result`, or leave out `error`"
)]
pub trait NamedFallible<const RESULT: bool> {}

impl<T> NamedFallible<true> for T {}

/// Asserts that `R` has an error.
pub const fn assert_fallible<R: NamedFallible<RESULT>, const RESULT: bool>() {}

/// An error that is given a name.
#[diagnostic::on_unimplemented(
    message = "`{Self}` needs no name: errors of this type are not recorded whole",
    label = "not `Serialize`, so `downcast` never returns it",
    note = "derive both: `#[derive(serde::Serialize, serde::Deserialize)]`, or leave out `error`"
)]
pub trait NameableError<const SERIALIZE: bool> {}

impl<T> NameableError<true> for T {}

/// Asserts that errors of type `E` are recorded whole.
pub const fn assert_nameable<E: NameableError<SERIALIZE>, const SERIALIZE: bool>() {}

/// The first parameter of a workflow.
#[diagnostic::on_unimplemented(
    message = "a workflow takes `ctx: ExecutionContext<Input>` first, not `{Self}`",
    label = "not an `ExecutionContext`",
    note = "write `ctx: ExecutionContext<{Self}>` and have the value from `ctx.input()`"
)]
pub trait FirstParameter<const CONTEXT: bool> {}

impl<T> FirstParameter<true> for T {}

/// Asserts that `C` is an `ExecutionContext`.
pub const fn assert_context<C: FirstParameter<CONTEXT>, const CONTEXT: bool>() {}

/// A parameter of a task that is injected.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is called `State` but is not `flux::State`",
    label = "not a `flux::State`",
    note = "a parameter `name: State<T>` of a task is injected from the engine; give a type of your own another name, or an alias"
)]
pub trait Injected: Sized {
    /// What the engine must have.
    const NEED: StateNeed;

    /// Takes it from what the engine has.
    fn take(states: &States) -> Result<Self, StartError>;
}

impl<T: Send + Sync + 'static> Injected for State<T> {
    const NEED: StateNeed = StateNeed::of::<T>();

    fn take(states: &States) -> Result<Self, StartError> {
        states.get()
    }
}

/// What may stand in a task's name.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be part of a task's name: it is not `Display`",
    label = "a placeholder here names an argument that is not `Display`"
)]
pub trait NameArgument<const DISPLAY: bool> {}

impl<T> NameArgument<true> for T {}

/// Asserts that a `T` may stand in a task's name.
pub const fn assert_name_part<T: NameArgument<DISPLAY>, const DISPLAY: bool>() {}
