//! `replay`: today's code against recorded histories, executing nothing.

use flux_core::{Error, Execution, NonDeterminism, Replayed};
use serde::Serialize;

use super::start;
use crate::args::Replay;
use crate::exit::{Exit, Failure, Outcome};
use crate::ids::short;
use crate::nearest::nearest;
use crate::output::{Cell, Column, Output, Row};
use crate::select::choose;
use crate::session::Session;

/// What came of one replay.
#[derive(Serialize)]
struct ReplayView {
    id: String,
    workflow: String,
    fits: bool,
    /// How many events were replayed.
    events: Option<usize>,
    divergence: Option<Divergence>,
    /// Another reason why it does not fit.
    error: Option<String>,
}

/// Both sides of a divergence.
#[derive(Serialize)]
struct Divergence {
    event: u32,
    recorded: String,
    found: String,
    site: Option<String>,
    note: Option<String>,
}

pub(super) async fn replay(session: &Session, args: Replay) -> Outcome {
    session.needs_code("`replay`")?;
    let engine = session.rehearse().await?;
    let chosen = choose(session, &engine, &args.selection).await?;
    if let Some(name) = &args.selection.filters.workflow
        && !start::has(&engine, name)
    {
        let known = engine.workflows();
        let near = nearest(name, known.iter().map(String::as_str));
        let failure = Failure::not_found(format!("this program has no workflow `{name}`"));
        return Err(failure.did_you_mean(near));
    }
    if chosen.executions.is_empty() {
        session.say("no execution is there to be replayed");
    }
    let mut views = Vec::with_capacity(chosen.executions.len());
    let mut worst = None;
    for execution in &chosen.executions {
        let result = engine.replay(execution.execution_id()).await;
        match &result {
            Err(Error::Store(error)) => return Err(Error::Store(error.clone()).into()),
            Err(error) => {
                explain(session, execution, error);
                worst.get_or_insert_with(|| Failure::from(error.clone()).exit);
            }
            Ok(_) => {}
        }
        views.push(view(execution, result));
    }
    session.output.rows(&views)?;
    match worst {
        None => Ok(Exit::Done),
        Some(exit) => Ok(exit),
    }
}

fn view(execution: &Execution, result: Result<Replayed, Error>) -> ReplayView {
    let (events, divergence, error) = match result {
        Ok(replayed) => (Some(replayed.events), None, None),
        Err(Error::NonDeterminism(error)) => (None, Some(sides(*error)), None),
        Err(error) => (None, None, Some(Failure::from(error).message)),
    };
    ReplayView {
        id: execution.execution_id().to_string(),
        workflow: execution.workflow().to_owned(),
        fits: events.is_some(),
        events,
        divergence,
        error,
    }
}

fn sides(error: NonDeterminism) -> Divergence {
    Divergence {
        event: error.event.get(),
        recorded: error.recorded,
        found: error.found,
        site: error.site,
        note: error.note,
    }
}

/// Says on standard error what does not fit, both sides below each other.
fn explain(session: &Session, execution: &Execution, error: &Error) {
    let id = short(execution.execution_id());
    let Error::NonDeterminism(error) = error else {
        session.say(format!("{id}: {}", Failure::from(error.clone()).message));
        return;
    };
    let at = error.site.as_deref().map(|site| format!(" at {site}"));
    session.say(format!(
        "{id}: the code of `{}` parts from the history at event {}\n  recorded  {}\n  the code  {}{}",
        error.workflow,
        error.event,
        error.recorded,
        error.found,
        at.unwrap_or_default()
    ));
    if let Some(note) = &error.note {
        session.say(format!("  {note}"));
    }
}

impl Row for ReplayView {
    const COLUMNS: &'static [Column] = &[
        Column::new("ID"),
        Column::new("WORKFLOW"),
        Column::new("FITS"),
        Column::new("EVENTS").number(),
        Column::new("PARTS AT").wraps(),
    ];

    fn id(&self) -> String {
        self.id.clone()
    }

    fn cells(&self, _: &Output) -> Vec<Cell> {
        use anstyle::AnsiColor;
        let fits = if self.fits {
            Cell::styled("yes", AnsiColor::Green.on_default())
        } else {
            Cell::styled("no", AnsiColor::Red.on_default())
        };
        let parts = match (&self.divergence, &self.error) {
            (Some(divergence), _) => format!("event {}", divergence.event),
            (None, Some(error)) => error.clone(),
            (None, None) => String::new(),
        };
        let id = flux_core::ExecutionId::from(self.id.as_str());
        vec![
            Cell::from(short(&id)),
            Cell::from(self.workflow.as_str()),
            fits,
            Cell::from(
                self.events
                    .map(|events| events.to_string())
                    .unwrap_or_default(),
            ),
            Cell::from(parts),
        ]
    }
}
