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
    if !text.contains(is_hidden) {
        return Cow::Borrowed(text);
    }
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        if is_hidden(c) {
            safe.extend(c.escape_default());
        } else {
            safe.push(c);
        }
    }
    Cow::Owned(safe)
}

/// Whether a terminal would obey a character or let it change how others look: control characters, and marks of the
/// direction of writing.
pub(super) fn is_hidden(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
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
