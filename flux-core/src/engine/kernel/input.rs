//! What reaches a driver from outside its own code: of bodies, of children, and of those who want something of it.

use std::collections::VecDeque;

use tokio::sync::mpsc;

use super::progress::Settled;
use crate::context::statements::StatementsRequest;
use crate::error::Error;
use crate::execution::{PausePoint, Snapshot, Status, Waiting};
use crate::id::{Epoch, EventSeq};
use crate::task::BodyResult;

/// What reaches a driver from outside its own code.
#[derive(Debug)]
pub(crate) enum DriverInput {
    /// A body has ended.
    Body {
        call: EventSeq,
        run: u64,
        result: BodyResult,
    },
    /// A body wants statements run.
    Statements(FromBody),
    /// There is news of a child, of the beginning under this epoch.
    Child {
        call: EventSeq,
        since: Epoch,
        report: ChildReport,
    },
    /// There is something new in the inbox.
    Inbox,
    /// Something that is not durable woke the code.
    Woken,
    /// Others need the room: if it only waits, it is to sleep.
    Rest,
    /// It is to start no more bodies, and to give its execution up when those that run have ended.
    Retire,
}

/// How a child's driver ended.
#[derive(Debug)]
pub(crate) enum ChildReport {
    /// It waits for a `resume`.
    Paused(Vec<PausePoint>),
    /// It waits for something else and has left memory.
    Asleep,
    /// It has finished, and mostly said so in its parent's inbox.
    Ended(Box<Snapshot>),
    /// It could not be driven.
    Lost(Error),
    /// Whoever had it has it no longer, or perhaps not.
    Changed,
}

impl ChildReport {
    /// How the driver of a child of this workflow ended.
    pub(crate) fn of(settled: &Settled, workflow: &str) -> Self {
        match settled {
            Ok(snapshot) if snapshot.record.status == Status::Paused => {
                let points = Waiting::read(snapshot.record.waiting.as_ref()).pauses;
                let points = points.iter();
                Self::Paused(
                    points
                        .map(|point| point.seen_from_parent(workflow))
                        .collect(),
                )
            }
            Ok(snapshot) if !snapshot.record.status.is_finished() => Self::Asleep,
            Ok(snapshot) => Self::Ended(Box::new(snapshot.clone())),
            Err(error) => Self::Lost(error.clone()),
        }
    }
}

/// What a body has asked for.
#[derive(Debug)]
pub(crate) struct FromBody {
    pub(crate) call: EventSeq,
    /// Which run of the body: an earlier one has nothing more to say.
    pub(crate) run: u64,
    pub(crate) asked: StatementsRequest,
}

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
    pub(crate) fn try_next(&mut self) -> Option<DriverInput> {
        let kept = self.kept.pop_front();
        kept.or_else(|| self.receiver.try_recv().ok())
    }

    /// The next one. Dropped, it takes nothing.
    pub(crate) async fn next(&mut self) -> Option<DriverInput> {
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
