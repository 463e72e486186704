//! `status`: an execution in brief; with `--verbose`, what happened event by event.

use std::fmt::Write as _;

use anstyle::{AnsiColor, Style};
use flux_core::clock::Timestamp;
use flux_core::{Engine, Execution, ExecutionId, Status, UnreadSignal};
use serde::Serialize;

use super::{events, unread};
use crate::args::StatusOf;
use crate::exit::{Exit, Failure, Outcome};
use crate::ids;
use crate::nearest::nearest;
use crate::output::{Cell, Column, Output, Row, paint, span, status_style};
use crate::session::Session;
use crate::story::{Owners, is_obstructed, note, obstacle_text};
use crate::view::{EventView, ExecutionView, UnreadView, failure_text};

/// A status, with events where they were asked for.
#[derive(Serialize)]
struct Brief {
    #[serde(flatten)]
    execution: ExecutionView,
    unread_signals: Vec<UnreadView>,
    #[serde(skip_serializing_if = "Option::is_none")]
    events: Option<Vec<EventView>>,
}

impl Row for Brief {
    const COLUMNS: &'static [Column] = &[];

    fn id(&self) -> String {
        self.execution.id()
    }

    fn cells(&self, _: &Output) -> Vec<Cell> {
        Vec::new()
    }
}

pub(super) async fn status(session: &Session, args: StatusOf) -> Outcome {
    let engine = session.look().await?;
    let execution = find(&engine, &args).await?;
    let id = execution.execution_id();
    let events = if session.is_verbose {
        Some(events::read(&engine, id).await?)
    } else {
        None
    };
    let owners = Owners::of(&engine, std::slice::from_ref(&execution)).await?;
    let unread = unread::of(&execution).await?;
    let brief = Brief {
        execution: ExecutionView::of(&execution, &owners),
        unread_signals: unread.iter().map(UnreadView::of).collect(),
        events,
    };
    let facts = StatusFacts {
        execution: &execution,
        owners: &owners,
        unread: &unread,
        events: brief.events.as_deref(),
    };
    let text = || text(session, &facts);
    session.output.one(&brief, text)?;
    Ok(Exit::Done)
}

/// The execution that is meant: by id, or the latest of a workflow.
async fn find(engine: &Engine, args: &StatusOf) -> Result<Execution, Failure> {
    if let Some(piece) = &args.id {
        let id = ids::find(engine, piece).await?;
        let execution = engine.get(&id).await?;
        if execution.workflow() != args.name {
            return Err(Failure::conflict(format!(
                "execution `{id}` belongs to workflow `{}`, not to `{}`",
                execution.workflow(),
                args.name
            )));
        }
        return Ok(execution);
    }
    if let Some(latest) = latest(engine, &args.name).await? {
        return Ok(latest);
    }
    match by_piece(engine, &args.name).await? {
        Some(id) => Ok(engine.get(&id).await?),
        None => Err(unknown(engine, &args.name).await?),
    }
}

async fn latest(engine: &Engine, workflow: &str) -> Result<Option<Execution>, Failure> {
    Ok(engine.list().workflow(workflow).limit(1).await?.pop())
}

async fn by_piece(engine: &Engine, piece: &str) -> Result<Option<ExecutionId>, Failure> {
    if engine.find(piece, 1).await?.is_empty() {
        return Ok(None);
    }
    ids::find(engine, piece).await.map(Some)
}

async fn unknown(engine: &Engine, name: &str) -> Result<Failure, Failure> {
    let counts = engine.workflow_counts().await?;
    let mut known: Vec<&str> = counts.iter().map(|count| &*count.workflow).collect();
    let registered = engine.workflows();
    known.extend(registered.iter().map(String::as_str));
    let failure = Failure::not_found(format!(
        "no workflow `{name}` has an execution here, and no id begins or ends with it"
    ));
    Ok(failure.did_you_mean(nearest(name, known)))
}

/// What is told of an execution.
struct StatusFacts<'a> {
    execution: &'a Execution,
    owners: &'a Owners,
    unread: &'a [UnreadSignal],
    events: Option<&'a [EventView]>,
}

fn text(session: &Session, facts: &StatusFacts<'_>) -> String {
    let StatusFacts {
        execution, owners, ..
    } = *facts;
    let output = &session.output;
    let status = execution.status();
    let mut text = String::new();
    if let Some(failure) = execution.failure() {
        let failed = paint(AnsiColor::Red.on_default().bold(), "Failed:");
        let _ = writeln!(text, "{failed} {}", failure_text(failure));
    }
    let name = paint(Style::new().bold(), execution.workflow());
    let has_crashed = owners.has_crashed(execution);
    let predicate = match (has_crashed, is_obstructed(execution)) {
        (true, _) => "has crashed",
        (false, true) => "cannot continue",
        (false, false) => predicate(status),
    };
    let _ = writeln!(text, "Workflow '{name}' {predicate}");
    let _ = writeln!(text, "  Execution ID:    {}", execution.execution_id());
    let word = paint(status_style(status), status.as_str().to_uppercase());
    let emoji = if has_crashed { "💥" } else { emoji(status) };
    let _ = writeln!(text, "  Status:          {word} {emoji}");
    let so_far = if execution.has_finished() {
        ""
    } else {
        " so far"
    };
    let took = match execution.started_at() {
        Some(_) => format!("{}{so_far}", span(execution.duration())),
        None => "not started".to_owned(),
    };
    let _ = writeln!(text, "  Execution Time:  {took}");
    let note = note(execution, owners, output);
    if execution.failure().is_none() && !note.is_empty() {
        let _ = writeln!(text, "  Note:            {note}");
    }
    if let Some(obstacle) = obstacle_text(execution, output) {
        let _ = writeln!(text, "  Obstacle:        {obstacle}");
    }
    if let Some(unread) = unread::line(execution, facts.unread) {
        let _ = writeln!(text, "  Unread:          {unread}");
    }
    if let Some(events) = facts.events {
        verbose(&mut text, execution, events);
    }
    text
}

/// A status as the end of a sentence.
fn predicate(status: Status) -> &'static str {
    match status {
        Status::Pending => "is pending",
        Status::Running => "is running",
        Status::Paused => "is paused",
        Status::Completed => "has completed",
        Status::Failed => "has failed",
        Status::Cancelled => "was cancelled",
        _ => "was terminated",
    }
}

fn emoji(status: Status) -> &'static str {
    match status {
        Status::Pending => "⏳",
        Status::Running => "🏃",
        Status::Paused => "⏸️",
        Status::Completed => "✅",
        Status::Failed => "❌",
        Status::Cancelled => "🚫",
        _ => "🛑",
    }
}

/// Every event with its moment, its activity and its value.
fn verbose(text: &mut String, execution: &Execution, events: &[EventView]) {
    let plural = if events.len() == 1 { "event" } else { "events" };
    let _ = writeln!(text, "\nFound {} {plural}:", events.len());
    for event in events {
        let at = Timestamp::from(event.at());
        let _ = writeln!(text, "  [{at}] {}", event.kind());
        if let Some(activity) = event.activity(execution.workflow()) {
            let _ = writeln!(text, "    Activity: {activity}");
        }
        if let Some((word, name)) = event.subject() {
            let _ = writeln!(text, "    {word}: {name}");
        }
        if let Some((word, due)) = event.due() {
            let _ = writeln!(text, "    {word}: {due}");
        }
        if let Some(value) = event.value(6) {
            let _ = writeln!(text, "    {}:", event.value_word());
            text.push_str(&value);
        }
    }
}
