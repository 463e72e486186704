//! The command line of Flux: see, start and steer every execution from a terminal.
//!
//! The binary `flux` works on any store and has no workflow code. A program of one's own gets the same commands, and with
//! its workflows also those that run code, from [`main`] or [`main_with`]; users reach them as `flux::cli`, with the
//! feature `cli` of the crate `flux`:
//!
//! ```no_run
//! use flux::{ExecutionContext, workflow};
//!
//! #[workflow]
//! async fn greet_person(ctx: ExecutionContext<String>) -> String {
//!     format!("hello, {}", ctx.input())
//! }
//!
//! fn main() {
//!     flux::cli::main() // cargo run -- run greet_person --input '"Ada"'
//! }
//! ```
//!
//! Data goes to standard output, all else to standard error. Every command, what the exit codes mean and what the JSON holds is
//! on the page `flux::guide::cli` (`docs/cli.md` in the sources), and is kept.

mod args;
mod ask;
mod command;
mod exit;
mod follow;
mod help;
mod ids;
mod known;
mod logs;
mod nearest;
mod output;
mod place;
mod program;
mod select;
mod session;
mod spinner;
mod story;
mod view;

use std::error::Error;
use std::future::Future;

use flux_core::EngineBuilder;
// It registers itself, which what nothing refers to does not.
use flux_store as _;

/// Runs the command that the program was called with, and ends the process with its exit code.
///
/// Everything that `#[workflow]` registers in the program can be run. Tasks that need
/// [`State`](flux_core::State) want [`main_with`].
pub fn main() -> ! {
    program::run(None)
}

/// As [`main`], with an engine of one's own making: `configure` is given the builder, with its store set, by commands that
/// run code, and may await what it takes to add state and defaults. Commands that only look or steer do not call it.
///
/// ```no_run
/// # struct Pool; impl Pool { async fn connect() -> Result<Self, std::io::Error> { Ok(Self) } }
/// fn main() {
///     flux::cli::main_with(|engine| async { Ok::<_, std::io::Error>(engine.state(Pool::connect().await?)) })
/// }
/// ```
///
/// An error of it is printed, and the process ends with exit code 1.
pub fn main_with<F, R, E>(configure: F) -> !
where
    F: FnOnce(EngineBuilder) -> R + Send + 'static,
    R: Future<Output = Result<EngineBuilder, E>> + Send + 'static,
    E: Into<Box<dyn Error + Send + Sync>>,
{
    program::run(Some(Box::new(|builder| {
        Box::pin(async move { configure(builder).await.map_err(Into::into) })
    })))
}
