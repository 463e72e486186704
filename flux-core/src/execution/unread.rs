//! `UnreadSignal`: a signal that was sent, and that no call has taken.

use std::time::SystemTime;

use super::view::Execution;
use crate::error::Error;
use crate::store::{Message, MessageKind};

/// A signal in the inbox of an execution that no call has taken yet: its code has not asked for it so far, or asks for a
/// value of another type.
#[derive(Clone, Debug)]
pub struct UnreadSignal(Message);

impl UnreadSignal {
    /// Its name.
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// When it was sent.
    pub fn sent_at(&self) -> SystemTime {
        self.0.at.into()
    }

    /// Its value.
    pub fn value(&self) -> serde_json::Value {
        self.0.payload.decode().unwrap_or_default()
    }
}

impl<O> Execution<O> {
    /// Reads the signals that no call has taken yet, oldest first. One that lies there while the code waits for its name
    /// has a value of another type than the code wants, or no process has delivered it yet.
    pub async fn unread_signals(&self) -> Result<Vec<UnreadSignal>, Error> {
        let messages = self.inbox().await?.into_iter();
        let signals = messages.filter(|message| message.kind == MessageKind::Signal);
        Ok(signals.map(UnreadSignal).collect())
    }
}
