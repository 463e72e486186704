//! Asking before much is done at once.

use std::io::{self, BufRead, IsTerminal, Write};

use crate::exit::Failure;

/// Whether the user says yes. Where nobody can be asked, that is an error which names `-y`.
pub(crate) fn confirm(question: &str) -> Result<bool, Failure> {
    if !io::stdin().is_terminal() {
        return Err(Failure::usage(format!(
            "{question} There is nobody to ask here: nothing was done"
        ))
        .hint("say `-y` to go on without being asked"));
    }
    let mut err = anstream::stderr();
    write!(err, "{question} [y/N] ")?;
    err.flush()?;
    let mut answer = String::new();
    io::stdin().lock().read_line(&mut answer)?;
    let answer = answer.trim().to_lowercase();
    Ok(answer == "y" || answer == "yes")
}
