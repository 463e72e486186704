//! Colours. They are always written; standard output and error take them out where they are not wanted.

use std::borrow::Cow;
use std::fmt::Display;

use anstyle::{AnsiColor, Style};
use flux_core::Status;

/// Text in a style.
pub(crate) fn paint(style: Style, text: impl Display) -> String {
    format!("{style}{text}{style:#}")
}

/// Recorded text, in one line and with nothing in it that a terminal would obey.
pub(crate) fn printable(text: &str) -> Cow<'_, str> {
    if !text.contains(char::is_control) {
        return Cow::Borrowed(text);
    }
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_control() {
            safe.extend(c.escape_default());
        } else {
            safe.push(c);
        }
    }
    Cow::Owned(safe)
}

/// The colour of a status.
pub(crate) fn status_style(status: Status) -> Style {
    let color = match status {
        Status::Pending => AnsiColor::Cyan,
        Status::Running => AnsiColor::Blue,
        Status::Paused => AnsiColor::Yellow,
        Status::Completed => AnsiColor::Green,
        Status::Failed => AnsiColor::Red,
        _ => AnsiColor::Magenta,
    };
    color.on_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_terminal_would_obey_is_shown_instead() {
        assert_eq!(printable("grün, 50 %"), "grün, 50 %");
        assert_eq!(printable("a\nb\u{1b}[2J"), "a\\nb\\u{1b}[2J");
    }
}
