//! A line at the end of a terminal that shows that something goes on.

use std::io::{self, IsTerminal, Write};

use crate::session::Session;

const FRAMES: &[char] = &['⠋', '⠙', '⠹', '⠸', '⠼', '⠴', '⠦', '⠧', '⠇', '⠏'];

/// A short line on standard error that is drawn over and over, where somebody sees it, and is gone when this is.
///
/// The cursor stands before it: what a task prints meanwhile covers it, and so does what the terminal makes of Ctrl-C. It is
/// taken back with spaces, since escapes may not be wanted.
pub(crate) struct Spinner {
    is_seen: bool,
    /// How many it has now.
    drawn: usize,
    turns: usize,
}

impl Spinner {
    pub(crate) fn new(session: &Session) -> Self {
        Self {
            is_seen: io::stderr().is_terminal() && io::stdout().is_terminal() && !session.is_quiet,
            drawn: 0,
            turns: 0,
        }
    }

    /// Draws it anew, a turn further.
    pub(crate) fn turn(&mut self, text: impl FnOnce() -> String) {
        if !self.is_seen {
            return;
        }
        self.turns += 1;
        let frame = FRAMES[self.turns % FRAMES.len()];
        let line = format!("{frame} {}", text());
        let rest = " ".repeat(self.drawn.saturating_sub(line.chars().count()));
        self.drawn = line.chars().count();
        write(&format!("\r{line}{rest}\r"));
    }

    /// Takes it off the screen until the next turn.
    pub(crate) fn clear(&mut self) {
        if self.drawn > 0 {
            write(&format!("\r{}\r", " ".repeat(self.drawn)));
            self.drawn = 0;
        }
    }
}

impl Drop for Spinner {
    fn drop(&mut self) {
        self.clear();
    }
}

/// Nothing is lost with what cannot be drawn.
fn write(text: &str) {
    let mut err = io::stderr().lock();
    let _ = err.write_all(text.as_bytes()).and_then(|()| err.flush());
}
