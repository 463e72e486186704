//! What is kept of an error depends on what its type can do, and every type that can be shown will do.
use std::error::Error;
use std::fmt;

use anyhow::Context as _;
use flux::{TaskError, Terminal, task, terminal};
use serde::{Deserialize, Serialize};

#[derive(Debug, PartialEq, Serialize, Deserialize, thiserror::Error)]
#[error("declined")]
struct Declined {
    code: u32,
    #[serde(skip)]
    #[source]
    source: Option<Bank>,
}

#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("the bank is closed")]
struct Bank;

/// Neither `Error` nor `Debug`.
struct OnlyDisplay;

impl fmt::Display for OnlyDisplay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("only display")
    }
}

#[derive(Debug, thiserror::Error)]
enum Transparent {
    #[error(transparent)]
    Inner(#[from] anyhow::Error),
}

fn declined() -> Declined {
    Declined {
        code: 5,
        source: Some(Bank),
    }
}

#[task]
async fn concrete() -> Result<(), Declined> {
    Err(declined())
}

#[task]
async fn text() -> Result<(), String> {
    Err("text".to_owned())
}

#[task]
async fn only_display() -> Result<(), OnlyDisplay> {
    Err(OnlyDisplay)
}

#[task]
async fn anyhow_error() -> anyhow::Result<()> {
    Err(declined()).context("while charging")
}

#[task]
async fn boxed() -> Result<(), Box<dyn Error + Send + Sync>> {
    Err(declined().into())
}

#[task]
async fn local() -> Result<(), Box<dyn Error>> {
    Err(declined().into())
}

#[task]
async fn terminal_concrete() -> Result<(), Terminal<Declined>> {
    Err(terminal(declined()))
}

#[task]
async fn terminal_anyhow(kind: u32) -> anyhow::Result<()> {
    Err(match kind {
        0 => terminal(declined()).into(),
        1 => terminal("a word").into(),
        2 => terminal("words".to_owned()).into(),
        3 => terminal(anyhow::anyhow!("inner").context("outer")).into(),
        _ => anyhow::Error::new(terminal(declined())).context("wrapped"),
    })
}

#[task]
async fn terminal_transparent() -> Result<(), Transparent> {
    Err(anyhow::Error::new(terminal(declined())).into())
}

type Charged = Result<(), Declined>;

#[task(error = "payments.declined")]
async fn named() -> Charged {
    Err(declined())
}

#[task(error = "payments.declined")]
async fn named_terminal() -> Result<(), Terminal<Declined>> {
    Err(terminal(declined()))
}

fn given_name(error: &TaskError) -> Option<&str> {
    error.data().error.name.as_deref()
}

#[track_caller]
fn check(
    result: Result<(), TaskError>,
    type_name: &str,
    message: &str,
    chain: &[&str],
) -> TaskError {
    let error = result.unwrap_err();
    assert_eq!(error.message(), message);
    assert_eq!(error.chain(), chain);
    let recorded = &error.data().error.type_name;
    assert!(recorded.ends_with(type_name), "{recorded}");
    error
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let bank: &[&str] = &["the bank is closed"];

    let error = check(concrete().await, "::Declined", "declined", bank);
    assert_eq!(
        error.downcast::<Declined>(),
        Some(Declined {
            code: 5,
            source: None
        })
    );
    assert_eq!(error.downcast::<String>(), None);

    let error = check(text().await, "String", "text", &[]);
    assert_eq!(error.downcast::<String>().as_deref(), Some("text"));

    check(only_display().await, "::OnlyDisplay", "only display", &[]);
    check(
        anyhow_error().await,
        "anyhow::Error",
        "while charging",
        &["declined", "the bank is closed"],
    );
    check(boxed().await, ">", "declined", bank);
    check(local().await, ">", "declined", bank);

    let error = check(terminal_concrete().await, "::Declined", "declined", bank);
    assert_eq!(
        error.downcast::<Declined>(),
        Some(Declined {
            code: 5,
            source: None
        })
    );
    check(terminal_anyhow(0).await, "anyhow::Error", "declined", bank);
    check(terminal_anyhow(1).await, "anyhow::Error", "a word", &[]);
    check(terminal_anyhow(2).await, "anyhow::Error", "words", &[]);
    check(
        terminal_anyhow(3).await,
        "anyhow::Error",
        "outer",
        &["inner"],
    );
    check(
        terminal_anyhow(4).await,
        "anyhow::Error",
        "wrapped",
        &["declined", "the bank is closed"],
    );
    check(
        terminal_transparent().await,
        "::Transparent",
        "declined",
        bank,
    );

    for result in [named().await, named_terminal().await] {
        let error = check(result, "::Declined", "declined", bank);
        assert_eq!(given_name(&error), Some("payments.declined"));
        assert!(error.downcast::<Declined>().is_some());
    }
    assert_eq!(given_name(&concrete().await.unwrap_err()), None);
}
