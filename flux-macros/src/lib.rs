//! The attribute macros of Flux. Users have them through the facade: `flux::task`, `flux::workflow`,
//! `flux::durable`.
//!
//! Each attribute goes the same way: **args** (what it says) -> **model** (the item, with the user's own
//! tokens) -> **check** (a function per rule) -> **expand** (`quote!`, no decisions left). Every mistake is
//! gathered before any is reported.

use proc_macro::TokenStream;

mod attr;
mod attributes;
mod backoff;
mod diag;
mod durable;
mod fallback;
mod function;
#[cfg(test)]
mod hygiene;
mod manifest;
mod nearest;
mod output;
mod path;
mod select;
mod signature;
mod task;
mod template;
mod tokens;
mod workflow;

/// Makes a function a task: a call of it inside a workflow is recorded once and retried as the attribute says.
///
/// The function then returns a `flux::TaskCall`, a lazy future of `Result<T, flux::TaskError>`, whatever its
/// body returns: `T`, or `Result<T, E>` with any `E: Display`.
///
/// | option | meaning |
/// |---|---|
/// | `name = ".."` | its name in the history; `{argument}` is replaced by the argument's value. Default: the function's name |
/// | `max_attempts = 3` | total tries, the first included, or `"unlimited"` |
/// | `retries = 2` | the same said otherwise: tries after the first |
/// | `backoff = "exponential(100ms, 2.0, max = 30s)"` | the wait between tries; or `"fixed(1s)"` |
/// | `retry_if = path` | `fn(&E) -> bool`, or a closure: which errors are worth another try |
/// | `error = "payments.declined"` | a name for the type of its error, which tells it from types with the same JSON in `downcast`; recorded, so it stays when the type is moved |
/// | `timeout = "30s"` | the limit of one try |
/// | `deadline = "5m"` | the limit of all tries with their waits |
/// | `fallback = path` | a task or a function that is given the same arguments when all tries are spent; its result is the call's |
/// | `rollback = path` | a task or an `async fn` that undoes it, from the same arguments and `Option<output>`, when the execution fails or is cancelled later on; `None` where the outcome is not known |
/// | `at_most_once` | never run again by itself once its body was cut off (a crash, its timeout, a panic, a dropped call): the call ends as `OutcomeUnknown`, and the workflow's own attempts end there, too |
/// | `blocking` | for a plain `fn`: run on the blocking pool; a thread that hangs holds up neither timeout, deadline nor fallback |
/// | `crate = path` | where `flux` is, if the crate reaches it through another; a dependency with `package = "flux"` is found by itself |
///
/// A parameter of type `flux::State<T>` is injected from the engine and is no argument of the call.
#[proc_macro_attribute]
pub fn task(args: TokenStream, item: TokenStream) -> TokenStream {
    task::expand(args.into(), item.into()).into()
}

/// Makes an `async fn(ctx: ExecutionContext<Input>) -> Output` a workflow: a `static` of type
/// `flux::Workflow<Input, Output>`, with `run`, `start`, `resume` and `call`.
///
/// It is a `static`, which no variable or parameter of the same module can be named like: name workflows by verbs
/// (`place_order`, not `order`).
///
/// | option | meaning |
/// |---|---|
/// | `name = ".."` | its name in the history. Default: the function's name |
/// | `version = 2` | recorded with every execution. Default: 1 |
/// | `accepts = 1..=2` | the recorded versions this code can continue. Default: its own |
/// | `error = "orders.refused"` | a name for the type of its error, as of a [`macro@task`] |
/// | `timeout = "1h"` | the limit of active time |
/// | `deadline = "7d"` | the limit of wall-clock time since the start |
/// | `max_attempts = 2` | total tries of the whole workflow, or `"unlimited"` |
/// | `retry = "restart"` | what a further try starts from: nothing; or `"keep"`, the default: what succeeded |
/// | `schedule = "0 12 * * *"` | starts by itself then, with the `Default` of its input. Also with a zone, `"0 9 * * 1 America/New_York"` (without one it is UTC), `"@daily"`, `"@every 5m"`; several: `schedule("..", "..")` |
/// | `queue = "orders"` | the queue whose workers run it |
/// | `concurrency = 1` | how many of its executions run at once. Default: any number |
/// | `on_conflict = "queue"` | what becomes of one beyond that: it waits. Default: `"reject"`, the start is an error; or `"skip"`, nothing is started; or `"terminate"`, the one that runs is ended |
/// | `lock = "user:{id}"` | of the executions with the same key one runs at a time; `{customer.id}` is a field of the input, `{}` all of it |
/// | `tags("billing", "eu")` | what its executions can be found by |
/// | `crate = path` | where `flux` is, if the crate reaches it through another; a dependency with `package = "flux"` is found by itself |
///
/// In its body every `select!` polls its branches in source order, so that a replay takes the same ones: a bare
/// `select!`, `tokio::select!` and `flux::select!` get `biased;`, and `futures::select!` becomes
/// `futures::select_biased!` (write that one with its path: a bare one is taken for tokio's). Functions that the workflow
/// calls and that race durable calls carry [`macro@durable`].
#[proc_macro_attribute]
pub fn workflow(args: TokenStream, item: TokenStream) -> TokenStream {
    workflow::expand(args.into(), item.into()).into()
}

/// Makes every `select!` in a helper function poll its branches in source order, as `#[workflow]` does in its own
/// body, so that a replay takes the same branches.
///
/// For functions outside a workflow that race durable calls. Nothing else is changed.
#[proc_macro_attribute]
pub fn durable(args: TokenStream, item: TokenStream) -> TokenStream {
    durable::expand(args.into(), item.into()).into()
}
