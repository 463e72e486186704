//! `ChildPolicy`: what becomes of a child that its parent no longer awaits.

use serde::{Deserialize, Serialize};

/// What becomes of a child when its parent lets go of it: when the call is dropped, and when the parent ends in whatever
/// way.
///
/// A parent whose process dies or hands it over has not ended, and lets go of nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ChildPolicy {
    /// It is cancelled: code that awaits [`flux::cancelled`](crate::cancelled) may clean up, rollbacks run.
    #[default]
    Cancel,
    /// It goes on by itself.
    Abandon,
    /// It is terminated: no more of its code runs.
    Terminate,
}

impl ChildPolicy {
    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it so")]
    pub(crate) fn is_default(&self) -> bool {
        *self == Self::default()
    }
}
