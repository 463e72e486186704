//! `events`: the history, event by event.

use flux_core::{Engine, ExecutionId};

use crate::args::{Events, Watching};
use crate::exit::{Exit, Failure, Outcome};
use crate::follow::{self, Watched};
use crate::ids;
use crate::output::{self, Format};
use crate::session::Session;
use crate::view::{EventView, Names};

pub(super) async fn events(session: &Session, args: Events) -> Outcome {
    let engine = session.look().await?;
    let id = ids::find(&engine, &args.id).await?;
    if args.follow {
        return follow(session, &engine, &id).await;
    }
    let views = read(&engine, &id).await?;
    match session.output.format {
        Format::Json => output::json(&views)?,
        Format::Jsonl => views.iter().try_for_each(output::jsonl)?,
        Format::Id => views
            .iter()
            .try_for_each(|view| output::line(view.seq().to_string()))?,
        Format::Table | Format::Wide => {
            output::text(&text(session, &views, args.io))?;
        }
    }
    Ok(Exit::Done)
}

/// Prints each event as it happens; ends as the execution does.
pub(super) async fn follow(session: &Session, engine: &Engine, id: &ExecutionId) -> Outcome {
    let watching = Watching {
        follow: true,
        ..Watching::default()
    };
    match follow::watch(session, engine, id, &watching, None).await? {
        Watched::Settled(execution) | Watched::Late(execution) => Ok(Exit::of(execution.status())),
        Watched::Interrupted => Ok(follow::say_interrupted(session, id, false)),
    }
}

pub(super) async fn read(engine: &Engine, id: &ExecutionId) -> Result<Vec<EventView>, Failure> {
    let mut names = Names::default();
    let events = engine.history(id).await?;
    Ok(events.iter().map(|event| names.view(id, event)).collect())
}

/// A line for each event, and with `with_values` what was recorded under it.
pub(super) fn text(session: &Session, views: &[EventView], with_values: bool) -> String {
    let began = views.first().map(EventView::at);
    let digits = views.last().map_or(1, |view| view.seq().to_string().len());
    let mut text = String::new();
    for view in views {
        text.push_str(&view.line(&session.output, began, digits));
        text.push('\n');
        if let Some(value) = view.value(digits + 12).filter(|_| with_values) {
            text.push_str(&value);
        }
    }
    text
}
