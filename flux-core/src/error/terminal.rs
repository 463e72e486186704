//! `terminal`: an error that is not worth another attempt.

use std::error::Error as StdError;
use std::fmt;

use serde::{Serialize, Serializer};

use super::asked;

/// An error after which no further attempt is made, whatever `max_attempts` allows: see [`terminal`].
///
/// It shows, serializes and chains as the error inside, and what is recorded is that error.
pub struct Terminal<E> {
    error: E,
    source: fn(&E) -> Option<&(dyn StdError + 'static)>,
}

/// Marks an error as not worth another attempt: a card that is refused is refused again.
///
/// It takes what a task can fail with: a type of your own, text, `anyhow::Error`, `Box<dyn Error>`. A task returns it
/// as `Result<T, Terminal<E>>`, or through `?` and `into()` as `anyhow::Error` or `Box<dyn Error>`; it is found
/// anywhere in the source chain of what is returned.
///
/// # Examples
///
/// ```
/// #[flux::task(max_attempts = 5)]
/// async fn charge(card: String) -> Result<u32, Box<dyn std::error::Error>> {
///     if card.is_empty() {
///         return Err(flux::terminal("there is no card").into());
///     }
///     Ok(card.parse()?)
/// }
/// # #[tokio::main(flavor = "current_thread")] async fn main() {
/// let error = charge(String::new()).await.unwrap_err();
/// assert_eq!(error.message(), "there is no card");
/// # }
/// ```
pub fn terminal<E: TerminalSource<Kind>, Kind>(error: E) -> Terminal<E> {
    Terminal {
        error,
        source: E::source_of,
    }
}

impl<E> Terminal<E> {
    /// The error inside.
    pub fn get_ref(&self) -> &E {
        &self.error
    }

    /// Takes the error out.
    pub fn into_inner(self) -> E {
        self.error
    }
}

impl<E: fmt::Display> fmt::Display for Terminal<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.error.fmt(f)
    }
}

impl<E: fmt::Debug> fmt::Debug for Terminal<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.error.fmt(f)
    }
}

impl<E: fmt::Display + fmt::Debug> StdError for Terminal<E> {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        asked::terminal();
        (self.source)(&self.error)
    }
}

impl<E: Serialize> Serialize for Terminal<E> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.error.serialize(serializer)
    }
}

/// What [`terminal`] can be given. `Kind` only keeps the implementations apart; it is always inferred.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be made a terminal error",
    label = "not an error",
    note = "`flux::terminal` takes a type that implements `std::error::Error`, text, `anyhow::Error` or `Box<dyn Error>`"
)]
pub trait TerminalSource<Kind> {
    #[doc(hidden)]
    fn source_of(&self) -> Option<&(dyn StdError + 'static)>;
}

/// Kind: a type that implements `Error`.
#[derive(Debug)]
pub enum Plain {}

/// Kind: a box around an error: `anyhow::Error`, `Box<dyn Error + Send + Sync>`.
#[derive(Debug)]
pub enum Boxed {}

/// Kind: a box around an error that stays on its thread: `Box<dyn Error>`.
#[derive(Debug)]
pub enum Local {}

/// Kind: text.
#[derive(Debug)]
pub enum Text {}

impl<E: StdError> TerminalSource<Plain> for E {
    fn source_of(&self) -> Option<&(dyn StdError + 'static)> {
        self.source()
    }
}

impl<E: AsRef<dyn StdError + Send + Sync>> TerminalSource<Boxed> for E {
    fn source_of(&self) -> Option<&(dyn StdError + 'static)> {
        self.as_ref().source()
    }
}

impl TerminalSource<Local> for Box<dyn StdError> {
    fn source_of(&self) -> Option<&(dyn StdError + 'static)> {
        self.as_ref().source()
    }
}

impl TerminalSource<Text> for String {
    fn source_of(&self) -> Option<&(dyn StdError + 'static)> {
        None
    }
}

impl TerminalSource<Text> for &'static str {
    fn source_of(&self) -> Option<&(dyn StdError + 'static)> {
        None
    }
}
