//! A line at the end of a terminal that shows that something goes on.

use std::io::{self, IsTerminal, Write};

use crate::session::Session;

const FRAMES: &[char] = &['⠋', '⠙', '⠹', '⠸', '⠼', '⠴', '⠦', '⠧', '⠇', '⠏'];

/// What a terminal writes at the cursor when Ctrl-C is pressed.
const ECHO: &str = "^C";

/// A line on standard error that is drawn over and over, where somebody sees it, and is gone when this is.
///
/// It is shorter than the terminal is wide, also with what Ctrl-C writes behind it: a line that the terminal had to break
/// could not be taken back. It is taken back with spaces, since escapes may not be wanted.
pub(crate) struct Spinner {
    is_seen: bool,
    /// How many characters it may have.
    room: usize,
    /// How many it has now.
    drawn: usize,
    turns: usize,
}

impl Spinner {
    pub(crate) fn new(session: &Session) -> Self {
        let width = session.output.width.map_or(80, usize::from);
        Self {
            is_seen: io::stderr().is_terminal() && io::stdout().is_terminal() && !session.is_quiet,
            room: width.saturating_sub(ECHO.len() + 1),
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
        let line: String = line.chars().take(self.room).collect();
        let before = self.drawn;
        self.drawn = line.chars().count();
        let rest = " ".repeat(before.saturating_sub(self.drawn));
        write(&format!("\r{line}{rest}{}", "\u{8}".repeat(rest.len())));
    }

    /// Takes it off the screen until the next turn.
    pub(crate) fn clear(&mut self) {
        if self.drawn > 0 {
            write(&format!("\r{}\r", " ".repeat(self.drawn + ECHO.len())));
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
