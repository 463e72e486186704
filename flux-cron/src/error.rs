//! What is said of a text that is no schedule.

/// A text that is no schedule. The message names the guilty part and the cure.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not {what}: {why}")]
pub struct ScheduleError {
    what: &'static str,
    text: String,
    why: String,
}

impl ScheduleError {
    pub(crate) fn new(what: &'static str, text: &str, why: String) -> Self {
        let text = text.trim().to_owned();
        Self { what, text, why }
    }

    /// Returns what is wrong and what to write instead, without the text itself.
    pub fn why(&self) -> &str {
        &self.why
    }
}
