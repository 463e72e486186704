//! Another build whose lines are elsewhere: since the source of a test cannot change while it runs, the recorded lines do.

use std::collections::BTreeMap;
use std::sync::Arc;

use flux::{Event, Payload};

/// Changes the lines that are recorded.
pub(crate) type Edit = Arc<dyn Fn(Line) -> Line + Send + Sync>;

/// A recorded place in the source.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Line {
    pub(crate) file: String,
    pub(crate) line: i64,
    pub(crate) column: i64,
}

impl Line {
    fn read(site: &str) -> Self {
        let mut parts = site.rsplitn(3, ':');
        let mut number = || parts.next().unwrap().parse().unwrap();
        let (column, line) = (number(), number());
        let file = parts.next().unwrap().to_owned();
        Self { file, line, column }
    }

    /// Where an event was asked for.
    pub(crate) fn of(event: &Event) -> Option<Self> {
        let meta: serde_json::Value = event.meta.as_ref()?.decode().ok()?;
        Some(Self::read(meta.get("site")?.as_str()?))
    }
}

/// An event as the other build has recorded it.
pub(crate) fn edited(mut event: Event, edit: &Edit) -> Event {
    if let Some(line) = Line::of(&event) {
        let Line { file, line, column } = edit(line);
        let meta = event.meta.as_ref().unwrap();
        let mut meta: serde_json::Value = meta.decode().unwrap();
        meta["site"] = format!("{file}:{line}:{column}").into();
        event.meta = Some(Payload::from_json(meta.to_string()));
    }
    event
}

/// Lines were inserted above everything.
pub(crate) fn shift(by: i64) -> Edit {
    Arc::new(move |line| Line {
        line: line.line + by,
        ..line
    })
}

/// These lines were elsewhere.
pub(crate) fn replace(lines: impl IntoIterator<Item = (Line, Line)>) -> Edit {
    let lines: BTreeMap<Line, Line> = lines.into_iter().collect();
    Arc::new(move |line| lines.get(&line).cloned().unwrap_or(line))
}
