//! Finds what hides in an error: by asking for the source, and seeing who answers.
//!
//! `dyn Error` cannot be asked whether it is a `Terminal<_>` of some type. And behind a transparent wrapper
//! (`#[error(transparent)]`, `Box<TaskError>`) there is nothing to downcast at all: the wrapper answers with the source of
//! what it wraps. But to answer it has to ask that, and ours remember being asked.

use std::cell::RefCell;
use std::error::Error as StdError;

use super::TaskError;

/// Who was asked for its source, on the way to one answer.
#[derive(Debug, Default)]
pub(crate) struct SourceTrace {
    /// Whether a `Terminal` was.
    pub(crate) terminal: bool,
    /// The failed calls that were.
    pub(crate) tasks: Vec<TaskError>,
}

thread_local! {
    /// `None` while nobody wants to know.
    static ASKED: RefCell<Option<SourceTrace>> = const { RefCell::new(None) };
}

/// The error's source, and what was asked for it: the error itself, or what it wraps transparently.
pub(crate) fn source_of<'a>(
    error: &'a (dyn StdError + 'static),
) -> (Option<&'a (dyn StdError + 'static)>, SourceTrace) {
    ASKED.set(Some(SourceTrace::default()));
    let source = error.source();
    (source, ASKED.take().unwrap_or_default())
}

/// A `Terminal` is asked for its source.
pub(crate) fn terminal() {
    note(|asked| asked.terminal = true);
}

/// A `TaskError` remembers being asked, which is why this stands here.
impl StdError for TaskError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        note(|asked| asked.tasks.push(self.clone()));
        self.source.as_deref().map(|cause| cause as _)
    }
}

fn note(write: impl FnOnce(&mut SourceTrace)) {
    ASKED.with_borrow_mut(|asked| {
        if let Some(asked) = asked {
            write(asked);
        }
    });
}
