//! What the tests share: the seeded store, the programs, and transcripts of what they say.

mod clock;
mod program;
mod seed;
mod store;
mod transcript;
mod workflows;

use std::time::SystemTime;

pub(crate) use program::{Call, Ran};
pub(crate) use seed::{PREFIX, id};
pub(crate) use store::Folder;
pub(crate) use transcript::settings;

/// Compares a transcript, or any text, with the file of the test's name.
macro_rules! golden {
    ($text:expr) => {
        crate::support::settings().bind(|| insta::assert_snapshot!($text))
    };
}
pub(crate) use golden;

/// A moment as people write it: `2024-01-02T03:00:00Z`.
pub(crate) fn utc(text: &str) -> SystemTime {
    humantime::parse_rfc3339(text).unwrap()
}
