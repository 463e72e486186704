//! A signal that no call has taken, as JSON.

use std::time::SystemTime;

use flux_core::UnreadSignal;
use serde::Serialize;

use super::iso;

#[derive(Clone, Debug, Serialize)]
pub(crate) struct UnreadView {
    name: String,
    #[serde(serialize_with = "iso")]
    sent_at: SystemTime,
}

impl UnreadView {
    pub(crate) fn of(signal: &UnreadSignal) -> Self {
        Self {
            name: signal.name().to_owned(),
            sent_at: signal.sent_at(),
        }
    }
}
