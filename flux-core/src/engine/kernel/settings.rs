//! What a builder decides for the life of an engine.

use std::time::Duration;

use crate::context::request::Policy;

/// What a builder decides.
#[derive(Debug, Clone, Copy)]
pub(crate) struct EngineSettings {
    pub(crate) payload_limit: usize,
    pub(crate) max_recoveries: u32,
    pub(crate) idle_after: Duration,
    pub(crate) task: Policy,
    pub(crate) workflow_max_attempts: u32,
    pub(crate) cancel_window: Duration,
    pub(crate) blocking_patience: Duration,
    pub(crate) always_replay: bool,
    pub(crate) is_onlooker: bool,
}

impl Default for EngineSettings {
    fn default() -> Self {
        Self {
            payload_limit: 8 * 1024 * 1024,
            max_recoveries: 10,
            idle_after: Duration::from_secs(5),
            task: Policy::ONCE,
            workflow_max_attempts: 1,
            cancel_window: Duration::from_secs(30),
            blocking_patience: Duration::from_secs(10),
            always_replay: replays_always(),
            is_onlooker: false,
        }
    }
}

/// Lets a whole test suite run in always-replay mode.
#[cfg(feature = "test-util")]
fn replays_always() -> bool {
    std::env::var_os("FLUX_ALWAYS_REPLAY").is_some_and(|value| value == "1")
}

#[cfg(not(feature = "test-util"))]
fn replays_always() -> bool {
    false
}
