//! What has come in for a driver and was not taken yet.

use std::collections::VecDeque;

use tokio::sync::mpsc;

use super::DriverInput;

/// The inputs of a driver, in their order.
///
/// A replay may have to wait until something foreign wakes the code once more, while bodies and children of this driver
/// are at work: whatever they say meanwhile is kept.
#[derive(Debug)]
pub(crate) struct Inputs {
    receiver: mpsc::UnboundedReceiver<DriverInput>,
    /// Came while a replay waited for something else.
    kept: VecDeque<DriverInput>,
}

impl Inputs {
    pub(crate) fn new(receiver: mpsc::UnboundedReceiver<DriverInput>) -> Self {
        Self {
            receiver,
            kept: VecDeque::new(),
        }
    }

    /// The next one, if it is there.
    pub(super) fn try_next(&mut self) -> Option<DriverInput> {
        let kept = self.kept.pop_front();
        kept.or_else(|| self.receiver.try_recv().ok())
    }

    /// The next one. Dropped, it takes nothing.
    pub(super) async fn next(&mut self) -> Option<DriverInput> {
        match self.kept.pop_front() {
            Some(kept) => Some(kept),
            None => self.receiver.recv().await,
        }
    }

    /// Waits until something foreign wakes the code.
    pub(crate) async fn woken(&mut self) {
        while let Some(input) = self.receiver.recv().await {
            if matches!(input, DriverInput::Woken) {
                return;
            }
            self.kept.push_back(input);
        }
    }
}
