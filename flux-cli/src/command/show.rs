//! `show`: where is it, what happened, what can I do next.

use std::fmt::Write as _;

use anstyle::{AnsiColor, Style};
use flux_core::{CallInfo, Engine, Event, Execution, Status, UnreadSignal};
use serde::Serialize;

use super::tree::{self, Branch};
use super::{events, families, start, unread};
use crate::args::Show;
use crate::exit::{Exit, Failure, Outcome};
use crate::output::{
    self, Cell, Column, Output, Row, paint, pretty, printable, span, status_style,
};
use crate::session::Session;
use crate::story::{Owners, Step, Whereabouts, bars, next_steps, obstacle_text, whereabouts};
use crate::view::{CallView, EventView, ExecutionView, Names, UnreadView, failure_text};
use crate::{follow, ids};

/// How wide the timeline is.
const BAR: usize = 24;

/// On a terminal, of more calls than this the first and the last are shown.
const CALLS: usize = 60;
const FIRST: usize = 10;

/// An execution with its story.
#[derive(Serialize)]
struct Story {
    #[serde(flatten)]
    execution: ExecutionView,
    /// What it waits for and until when, or how it ended.
    whereabouts: String,
    unread_signals: Vec<UnreadView>,
    calls: Vec<CallView>,
    #[serde(skip_serializing_if = "Option::is_none")]
    events: Option<Vec<EventView>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    children: Option<Vec<Branch>>,
    /// Commands to go on with.
    next: Vec<String>,
}

impl Row for Story {
    const COLUMNS: &'static [Column] = &[];

    fn id(&self) -> String {
        self.execution.id()
    }

    fn cells(&self, _: &Output) -> Vec<Cell> {
        Vec::new()
    }
}

/// What is read of an execution.
struct ExecutionFacts {
    execution: Execution,
    events: Vec<Event>,
    calls: Vec<CallInfo>,
    place: Whereabouts,
    steps: Vec<Step>,
    children: Option<Vec<Branch>>,
    owners: Owners,
    unread: Vec<UnreadSignal>,
    /// Whether this program has its code.
    is_here: bool,
}

pub(super) async fn show(session: &Session, args: Show) -> Outcome {
    let engine = session.look().await?;
    let id = ids::find(&engine, &args.id).await?;
    if args.follow && follow::is_json(session) {
        return events::follow(session, &engine, &id).await;
    }
    let facts = facts(session, &engine, engine.get(&id).await?, &args).await?;
    if session.output.is_text() {
        output::text(&text(session, &facts, &args))?;
    } else {
        let story = story(session, &facts, &args);
        session.output.one(&story, String::new)?;
    }
    if args.follow {
        output::line(heading("As it happens"))?;
        return events::follow(session, &engine, &id).await;
    }
    Ok(Exit::Done)
}

async fn facts(
    session: &Session,
    engine: &Engine,
    execution: Execution,
    args: &Show,
) -> Result<ExecutionFacts, Failure> {
    let events = engine.history(execution.execution_id()).await?;
    let calls = CallInfo::of(&events);
    let workers = engine.workers().await?;
    let queue = match execution
        .queue()
        .filter(|_| execution.status() == Status::Pending)
    {
        Some(queue) => Some(engine.queue(queue).info().await?),
        None => None,
    };
    let place = whereabouts(
        &execution,
        &calls,
        &workers,
        queue.as_ref(),
        &session.output,
    );
    let is_here = start::has(engine, execution.workflow());
    let begun_again = families::begun_again(engine, &execution).await?;
    let steps = next_steps(&execution, &calls, &begun_again, &place, is_here);
    let owners = Owners::among(&workers);
    let children = if args.tree {
        Some(tree::children(engine, &execution, &owners).await?)
    } else {
        None
    };
    let unread = unread::of(&execution).await?;
    Ok(ExecutionFacts {
        execution,
        events,
        calls,
        place,
        steps,
        children,
        owners,
        unread,
        is_here,
    })
}

fn story(session: &Session, facts: &ExecutionFacts, args: &Show) -> Story {
    Story {
        execution: ExecutionView::of(&facts.execution, &facts.owners),
        whereabouts: facts.place.sentence(facts.execution.status()),
        unread_signals: facts.unread.iter().map(UnreadView::of).collect(),
        calls: calls(facts, session, args.io),
        events: args.events.then(|| event_views(facts)),
        children: facts.children.clone(),
        next: commands(session, &facts.steps),
    }
}

fn event_views(facts: &ExecutionFacts) -> Vec<EventView> {
    let mut names = Names::default();
    let id = facts.execution.execution_id();
    facts
        .events
        .iter()
        .map(|event| names.view(id, event))
        .collect()
}

fn calls(facts: &ExecutionFacts, session: &Session, with_values: bool) -> Vec<CallView> {
    let execution = &facts.execution;
    let now = execution.finished_at().unwrap_or(session.output.now);
    let began = execution.started_at().unwrap_or(execution.created_at());
    let bars = bars(&facts.calls, now, BAR);
    facts
        .calls
        .iter()
        .zip(bars)
        .map(|(call, bar)| CallView::of(call, began, bar, with_values))
        .collect()
}

fn commands(session: &Session, steps: &[Step]) -> Vec<String> {
    let command = |step: &Step| {
        let words: Vec<&str> = step.words.iter().map(String::as_str).collect();
        if step.is_elsewhere {
            session.command_elsewhere(&words)
        } else {
            session.command(&words)
        }
    };
    steps.iter().map(command).collect()
}

fn heading(text: &str) -> String {
    paint(Style::new().bold(), text)
}

fn text(session: &Session, facts: &ExecutionFacts, args: &Show) -> String {
    let mut text = String::new();
    head(&mut text, session, facts);
    what_happened(&mut text, session, facts, args);
    if let Some(children) = &facts.children {
        let _ = writeln!(text, "\n{}", heading("Children"));
        text.push_str(&tree::draw(children, &facts.owners, &session.output));
    }
    if args.events {
        let _ = writeln!(text, "\n{}", heading("Events"));
        text.push_str(&events::text(session, &event_views(facts), args.io));
    }
    what_next(&mut text, session, &facts.steps);
    text
}

/// Where it is; of a failed one, what failed comes first.
fn head(text: &mut String, session: &Session, facts: &ExecutionFacts) {
    let ExecutionFacts {
        execution, place, ..
    } = facts;
    let output = &session.output;
    let status = execution.status();
    if let Some(failure) = execution.failure() {
        let failed = paint(AnsiColor::Red.on_default().bold(), "Failed:");
        let _ = writeln!(text, "{failed} {}\n", failure_text(failure));
    }
    let name = heading(execution.workflow());
    let _ = writeln!(text, "{name}  {}", execution.execution_id());
    let word = paint(status_style(status).bold(), status);
    let _ = writeln!(text, "{word}  {}", place.line);
    if let Some(obstacle) = obstacle_text(execution, output) {
        let _ = writeln!(text, "{obstacle}");
    }
    if let Some(driver) = driver(execution, place, facts.is_here) {
        let _ = writeln!(text, "{driver}");
    }
    if let Some(unread) = unread::line(execution, &facts.unread) {
        let _ = writeln!(text, "{unread}");
    }
    let _ = writeln!(text, "{}", times(execution, output).join(", "));
    let origin = origin(execution);
    if !origin.is_empty() {
        let _ = writeln!(text, "{}", origin.join(", "));
    }
}

/// When it was created, began and ended, how long that took, and which attempt and version it is.
fn times(execution: &Execution, output: &Output) -> Vec<String> {
    let mut times = vec![format!("created {}", output.moment(execution.created_at()))];
    if let Some(started) = execution.started_at() {
        times.push(format!("started {}", output.moment(started)));
    }
    if let Some(finished) = execution.finished_at() {
        times.push(format!("finished {}", output.moment(finished)));
    }
    if execution.started_at().is_some() {
        let so_far = if execution.has_finished() {
            ""
        } else {
            " so far"
        };
        times.push(format!("took {}{so_far}", span(execution.duration())));
    }
    if execution.attempt() > 1 {
        times.push(format!("attempt {}", execution.attempt()));
    }
    if execution.version() > 1 {
        times.push(format!("version {}", execution.version()));
    }
    times
}

/// Who drives it, where that matters.
fn driver(execution: &Execution, place: &Whereabouts, is_here: bool) -> Option<String> {
    use crate::story::Driver;
    let workflow = execution.workflow();
    match &place.driver {
        Driver::Nobody => None,
        Driver::Alive(who) => Some(format!("driven by {who}")),
        Driver::Dead => Some(format!(
            "{}: whoever drove it is gone; a worker takes it over",
            paint(AnsiColor::Yellow.on_default(), "nobody drives it")
        )),
        Driver::LeftAlone(late) => Some(format!(
            "{} for {}: it is ready, and the workers that serve it do not take it; their log says why",
            paint(AnsiColor::Yellow.on_default(), "left alone"),
            span(*late)
        )),
        Driver::Awaited { is_served: true } => {
            Some("a worker that serves it is about to take it".to_owned())
        }
        Driver::Awaited { is_served: false } => Some(format!(
            "{} `{workflow}`: it waits for a worker{}",
            paint(AnsiColor::Yellow.on_default(), "nobody serves"),
            if is_here {
                ""
            } else {
                " of the program that has its code"
            }
        )),
    }
}

/// Where it came from.
fn origin(execution: &Execution) -> Vec<String> {
    let mut origin = Vec::new();
    if let Some(queue) = execution.queue() {
        origin.push(format!("queue `{queue}`"));
    }
    if execution.priority() != 0 {
        origin.push(format!("priority {}", execution.priority()));
    }
    if let Some(schedule) = execution.schedule() {
        origin.push(format!("by schedule `{schedule}`"));
    }
    if let Some(parent) = execution.parent() {
        origin.push(format!("called by {}", ids::short(parent)));
    }
    let tags: Vec<&str> = execution.tags().collect();
    if !tags.is_empty() {
        origin.push(format!("tags {}", tags.join(", ")));
    }
    origin
}

fn what_happened(text: &mut String, session: &Session, facts: &ExecutionFacts, args: &Show) {
    let count = facts.events.len();
    let plural = if count == 1 { "event" } else { "events" };
    let _ = writeln!(text, "\n{} ({count} {plural})", heading("What happened"));
    let calls = calls(facts, session, args.io);
    if calls.is_empty() {
        let _ = writeln!(text, "no calls yet");
    }
    let is_long = session.output.width.is_some() && calls.len() > CALLS;
    if is_long {
        let last = calls.len() - (CALLS - FIRST);
        text.push_str(&session.output.drawn(&calls[..FIRST]));
        let _ = writeln!(text, ".. {} more calls ..", last - FIRST);
        text.push_str(&session.output.drawn(&calls[last..]));
    } else if !calls.is_empty() {
        text.push_str(&session.output.drawn(&calls));
    }
    if args.io {
        values(text, facts);
    }
    if let Some(output) = facts.execution.output().filter(|output| !output.is_null()) {
        let _ = writeln!(text, "\n{}", heading("Result"));
        let _ = writeln!(text, "{}", pretty(output));
    }
}

/// The input of the execution, and what each call was given and gave.
fn values(text: &mut String, facts: &ExecutionFacts) {
    let input = facts.events.iter().find_map(|event| event.payload.as_ref());
    let mut value = |name: &str, payload: Option<&flux_core::Payload>| {
        if let Some(payload) = payload {
            let _ = writeln!(
                text,
                "  {}  {}",
                printable(name),
                printable(payload.as_str())
            );
        }
    };
    value("input ", input);
    for call in &facts.calls {
        value(&format!("{} <-", call.name()), call.input());
        value(&format!("{} ->", call.name()), call.output());
    }
}

fn what_next(text: &mut String, session: &Session, steps: &[Step]) {
    if steps.is_empty() || session.is_quiet {
        return;
    }
    let _ = writeln!(text, "\n{}", heading("What next"));
    let commands = commands(session, steps);
    let width = commands
        .iter()
        .map(|command| command.chars().count())
        .max()
        .unwrap_or(0);
    for (command, step) in commands.iter().zip(steps) {
        let why = paint(Style::new().dimmed(), &step.why);
        let _ = writeln!(text, "  {command:<width$}  {why}");
    }
}
