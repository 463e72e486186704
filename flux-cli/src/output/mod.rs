//! What goes to standard output, in the form that was asked for.

mod fit;
mod style;
mod table;
mod time;

use std::fmt::Write as _;
use std::io::{self, Write};
use std::time::SystemTime;

use clap::ValueEnum;
use serde::Serialize;

pub(crate) use style::{paint, printable, status_style};
pub(crate) use table::{Cell, Column};
pub(crate) use time::{TimeStyle, parse_moment, span};

/// How things are printed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// A table, for people
    #[default]
    Table,
    /// A table with more columns
    Wide,
    /// One JSON value
    Json,
    /// A JSON object per line
    Jsonl,
    /// Ids alone, whole ones, a line each
    Id,
}

/// Something that is listed.
pub(crate) trait Row: Serialize {
    /// The columns of its table.
    const COLUMNS: &'static [Column];

    /// What `-o id` prints of it.
    fn id(&self) -> String;

    /// Its cells, one for each column.
    fn cells(&self, output: &Output) -> Vec<Cell>;
}

/// Standard output, and how things are to look there.
#[derive(Debug)]
pub(crate) struct Output {
    pub(crate) format: Format,
    pub(crate) time: TimeStyle,
    /// Whether tables have a first line with the names of their columns.
    pub(crate) headers: bool,
    /// How wide the terminal is; `None` where there is none, and nothing is cut or wrapped.
    pub(crate) width: Option<u16>,
    pub(crate) now: SystemTime,
}

impl Output {
    /// Whether it is for people.
    pub(crate) fn is_text(&self) -> bool {
        matches!(self.format, Format::Table | Format::Wide)
    }

    /// A moment, as was asked for.
    pub(crate) fn moment(&self, moment: SystemTime) -> String {
        self.time.show(moment, self.now)
    }

    /// A moment that may not be.
    pub(crate) fn maybe_moment(&self, moment: Option<SystemTime>) -> String {
        moment.map_or_else(String::new, |moment| self.moment(moment))
    }

    /// Prints a list.
    pub(crate) fn rows<R: Row>(&self, rows: &[R]) -> io::Result<()> {
        match self.format {
            Format::Table | Format::Wide => self::text(&table::render(rows, self)),
            Format::Json => json(&rows),
            Format::Jsonl => rows.iter().try_for_each(|row| jsonl(row)),
            Format::Id => rows.iter().try_for_each(|row| data(&row.id())),
        }
    }

    /// A table as text.
    pub(crate) fn drawn<R: Row>(&self, rows: &[R]) -> String {
        table::render(rows, self)
    }

    /// Prints one thing, for people as `text` says.
    pub(crate) fn one<R: Row>(&self, row: &R, text: impl FnOnce() -> String) -> io::Result<()> {
        match self.format {
            Format::Table | Format::Wide => self::text(&text()),
            Format::Json => json(row),
            Format::Jsonl => jsonl(row),
            Format::Id => data(&row.id()),
        }
    }

    /// Prints something that has no id: for people as `text` says, else as JSON.
    pub(crate) fn value<T: Serialize>(
        &self,
        value: &T,
        text: impl FnOnce() -> String,
    ) -> io::Result<()> {
        match self.format {
            Format::Table | Format::Wide | Format::Id => self::text(&text()),
            Format::Json => json(value),
            Format::Jsonl => jsonl(value),
        }
    }
}

/// Prints one JSON value, for people to read too.
pub(crate) fn json<T: Serialize>(value: &T) -> io::Result<()> {
    data(&visible(
        &serde_json::to_string_pretty(value).map_err(io::Error::other)?,
    ))
}

/// Prints one JSON value in a line.
pub(crate) fn jsonl<T: Serialize>(value: &T) -> io::Result<()> {
    data(&visible(
        &serde_json::to_string(value).map_err(io::Error::other)?,
    ))
}

/// JSON for people, as part of a text.
pub(crate) fn pretty<T: Serialize>(value: &T) -> String {
    visible(&serde_json::to_string_pretty(value).unwrap_or_default())
}

/// The same JSON with an escape for each character that a terminal would obey or not show. They stand in texts alone.
fn visible(json: &str) -> String {
    let mut visible = String::with_capacity(json.len());
    for c in json.chars() {
        if style::is_hidden(c) && c != '\n' {
            let mut units = [0; 2];
            for unit in c.encode_utf16(&mut units) {
                let _ = write!(visible, "\\u{unit:04x}");
            }
        } else {
            visible.push(c);
        }
    }
    visible
}

/// Prints a line of data as it is: nothing is taken out of it.
fn data(line: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(line.as_bytes())?;
    out.write_all(b"\n")?;
    out.flush()
}

/// Prints a line.
pub(crate) fn line(text: impl AsRef<str>) -> io::Result<()> {
    let mut out = anstream::stdout().lock();
    out.write_all(text.as_ref().as_bytes())?;
    out.write_all(b"\n")?;
    out.flush()
}

/// Prints text that ends its lines itself.
pub(crate) fn text(text: &str) -> io::Result<()> {
    let mut out = anstream::stdout().lock();
    out.write_all(text.as_bytes())?;
    if !text.is_empty() && !text.ends_with('\n') {
        out.write_all(b"\n")?;
    }
    out.flush()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_hides_nothing_and_stays_the_same_value() {
        let value = serde_json::json!({"a": "\u{7f}\u{9b}2J\u{202e}\u{1b}\n", "b": "ä🙂"});
        let json = visible(&serde_json::to_string(&value).unwrap());
        assert!(json.chars().all(|c| !style::is_hidden(c)), "{json}");
        assert_eq!(
            serde_json::from_str::<serde_json::Value>(&json).unwrap(),
            value
        );
    }
}
