//! Signals that no call has taken: told by `show` and `status`, and by `signal` where one was just sent.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use flux_core::{Engine, EventKind, Execution, UnreadSignal};
use tokio::time::Instant;

use crate::exit::Failure;
use crate::nearest::nearest;
use crate::output::printable;
use crate::session::Session;
use crate::story::{Owners, is_served};

/// How long a signal that the code waits for may take to be delivered before it is said to lie there.
const PATIENCE: Duration = Duration::from_millis(500);
const PACE: Duration = Duration::from_millis(20);

/// The signals of an execution that no call has taken; what has finished takes none.
pub(super) async fn of(execution: &Execution) -> Result<Vec<UnreadSignal>, Failure> {
    if execution.has_finished() {
        return Ok(Vec::new());
    }
    Ok(execution.unread_signals().await?)
}

/// What is said of them in a line.
pub(super) fn line(execution: &Execution, unread: &[UnreadSignal]) -> Option<String> {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for signal in unread {
        *counts.entry(signal.name()).or_default() += 1;
    }
    let awaited = execution.awaited_signals();
    let told = counts.iter().map(|(name, count)| {
        let times = if *count == 1 {
            String::new()
        } else {
            format!(" ({count} times)")
        };
        let why = if awaited.iter().any(|waits| waits == name) {
            ", which its code waits for: it is not delivered yet, or of another type"
        } else {
            ""
        };
        format!("`{}`{times}{why}", printable(name))
    });
    let told: Vec<String> = told.collect();
    match unread.len() {
        0 => None,
        1 => Some(format!(
            "signal {} was sent, and no call has taken it",
            told[0]
        )),
        _ => Some(format!(
            "signals that no call has taken: {}",
            told.join("; ")
        )),
    }
}

/// Says where a signal that was just sent is not what the code asks for: by its name, or by its type.
pub(super) async fn warn(
    session: &Session,
    engine: &Engine,
    execution: &Execution,
    name: &str,
) -> Result<(), Failure> {
    if execution
        .awaited_signals()
        .iter()
        .any(|awaited| awaited == name)
    {
        return warn_of_type(session, engine, execution, name).await;
    }
    let asked = asked_for(execution).await?;
    if asked.contains(name) {
        return Ok(());
    }
    let (name, workflow) = (printable(name), execution.workflow());
    session.say(format!(
        "no call of `{workflow}` has asked for a signal `{name}` so far: it is kept, unread, until one does"
    ));
    let near = nearest(&name, asked.iter().map(String::as_str));
    if let Some(near) = near {
        session.say(format!("did you mean `{near}`?"));
    } else if !asked.is_empty() {
        let asked: Vec<_> = asked
            .iter()
            .map(|name| format!("`{}`", printable(name)))
            .collect();
        session.say(format!("it has asked for {}", asked.join(", ")));
    }
    Ok(())
}

/// The names of the signals that the code has asked for, now or before.
async fn asked_for(execution: &Execution) -> Result<BTreeSet<String>, Failure> {
    let events = execution.events().await?;
    let asked = events
        .iter()
        .filter(|event| event.kind == EventKind::SignalAwaited);
    Ok(asked
        .filter_map(|event| event.name.as_deref().map(str::to_owned))
        .collect())
}

/// Which type the code wants only the code knows. What its driver leaves in the inbox is of another.
async fn warn_of_type(
    session: &Session,
    engine: &Engine,
    execution: &Execution,
    name: &str,
) -> Result<(), Failure> {
    let workers = engine.workers().await?;
    let is_driven = Owners::among(&workers).is_alive(execution) == Some(true);
    if execution.held().is_some() || !(is_driven || is_served(execution, &workers)) {
        // It is delivered later, by whoever drives the execution then.
        return Ok(());
    }
    let until = Instant::now() + PATIENCE;
    while Instant::now() < until {
        let now = engine.get(execution.execution_id()).await?;
        let waits = now.awaited_signals().iter().any(|awaited| awaited == name);
        let lies_there = of(&now).await?.iter().any(|signal| signal.name() == name);
        if !waits || !lies_there {
            return Ok(());
        }
        tokio::time::sleep(PACE).await;
    }
    session.say(format!(
        "the code waits for `{}` and has not taken this one: its value may be of another type than the code wants, \
         which the log of its process says",
        printable(name)
    ));
    Ok(())
}
