//! What can happen in a round.

use std::sync::atomic::{AtomicU64, Ordering};

/// Something that can happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Feature {
    /// Processes are killed with SIGKILL.
    Kill,
    /// Processes are told to end with SIGTERM.
    Term,
    /// Processes are stopped with SIGSTOP, some for longer than their stall time.
    Stop,
    /// Another program holds the write lock for seconds.
    Lock,
    /// Another program writes much, so that every write has to wait.
    Slow,
    /// The disk is full for seconds.
    Full,
    /// The clocks are set ahead and back.
    Clock,
    /// Programs of two versions work on one store.
    Versions,
    /// People cancel.
    Cancel,
    /// People terminate.
    Terminate,
    /// People pause and resume.
    Hold,
    /// What failed is retried.
    Retry,
    /// Callers leave before they are answered.
    Leave,
    /// The command line is used.
    Command,
    /// Waits for signals lose races.
    LostWaits,
    /// Calls of children are dropped.
    LostChildren,
    /// Children with policies.
    Children,
    /// Workflows with attempts of their own.
    Attempts,
    /// Tasks that run at most once.
    Once,
    /// Transactions.
    Book,
    /// Rollbacks and exit handlers.
    Undo,
    /// Limits of time of workflows.
    Limits,
}

use Feature::*;

/// All that there is.
pub const ALL: [Feature; 22] = [
    Kill,
    Term,
    Stop,
    Lock,
    Slow,
    Full,
    Clock,
    Versions,
    Cancel,
    Terminate,
    Hold,
    Retry,
    Leave,
    Command,
    LostWaits,
    LostChildren,
    Children,
    Attempts,
    Once,
    Book,
    Undo,
    Limits,
];

/// What only every second round has, by its seed, unless it is asked for: where clocks are set, less can be checked.
const EVERY_SECOND: &[Feature] = &[Clock];

/// The seed of this round.
static SEED: AtomicU64 = AtomicU64::new(0);

/// A round begins in this process, or has begun in the one that started this process.
pub fn begin_round(seed: u64) {
    SEED.store(seed, Ordering::Relaxed);
}

impl Feature {
    fn name(self) -> String {
        format!("{self:?}").to_lowercase()
    }

    /// Whether it happens: by `FLUX_SOAK_ONLY` (a list), `FLUX_SOAK_WITH`, `FLUX_SOAK_WITHOUT`.
    pub fn is_on(self) -> bool {
        let listed = |variable: &str| {
            let list = std::env::var(variable).ok()?;
            let name = self.name();
            Some(list.split(',').any(|word| word == name || word == "all"))
        };
        let has_turn = !EVERY_SECOND.contains(&self) || SEED.load(Ordering::Relaxed) % 2 == 1;
        let usual = listed("FLUX_SOAK_ONLY").unwrap_or(has_turn);
        let is_added = listed("FLUX_SOAK_WITH").unwrap_or(false);
        let is_left_out = listed("FLUX_SOAK_WITHOUT").unwrap_or(false);
        (usual || is_added) && !is_left_out
    }
}
