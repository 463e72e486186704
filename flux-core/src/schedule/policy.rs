//! What a schedule does when executions would overlap, and when it was late.

use serde::{Deserialize, Serialize};

/// What becomes of a slot while the execution of an earlier one is unfinished.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Overlap {
    /// Nothing is started.
    #[default]
    Skip,
    /// Its execution runs beside the earlier one.
    Allow,
    /// Its execution waits for the earlier one.
    Queue,
    /// The earlier execution is cancelled.
    CancelRunning,
}

/// What becomes of the slots that passed while nobody looked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CatchUp {
    /// The last of them fires.
    #[default]
    One,
    /// All of them fire, in order.
    All,
    /// None of them fires, but for the last if it is not older than a minute: nobody looks at the very moment.
    None,
}
