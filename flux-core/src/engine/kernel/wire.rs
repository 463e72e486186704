//! What the parts of an engine hand to a driver, and a driver to them.

use super::drivers::{Refusal, Settled};
use crate::engine::driver::FromBody;
use crate::engine::ownership::Claimed;
use crate::error::Error;
use crate::event::Event;
use crate::execution::{PausePoint, Snapshot, Status, Waiting};
use crate::id::{Epoch, EventSeq};
use crate::payload::Payload;
use crate::store::{ExecutionRecord, Placement};
use crate::task::BodyResult;

/// How a driver gets hold of its execution.
#[derive(Debug)]
pub(crate) enum Begin {
    /// By creating it.
    New {
        /// Its input.
        input: Payload,
        /// What it is bound to.
        placement: Placement,
    },
    /// By having created it for its parent: its history is the one event that begins it.
    Born {
        /// Its row, and the ownership of it.
        claimed: Box<Claimed>,
        /// The event.
        start: Event,
        /// Whether its parent has sent it something with its creation.
        has_orders: bool,
    },
    /// By having been given it when its turn came: its history is the one event that put it into its queue.
    Queued {
        /// Its row, and the ownership of it.
        claimed: Box<Claimed>,
        /// The event.
        event: Event,
    },
    /// By having claimed it.
    Claimed {
        /// Its row, and the ownership of it.
        claimed: Box<Claimed>,
        /// What is wanted of it.
        intent: Intent,
    },
}

impl Begin {
    /// Goes on with an execution that was claimed.
    pub(crate) fn claimed(claimed: Claimed, intent: Intent) -> Self {
        Self::Claimed {
            claimed: Box::new(claimed),
            intent,
        }
    }

    /// A driver for it is in the active set.
    pub(crate) fn entered(&mut self) {
        match self {
            Self::New { .. } => {}
            Self::Born { claimed, .. }
            | Self::Queued { claimed, .. }
            | Self::Claimed { claimed, .. } => claimed.entered(),
        }
    }
}

/// What is wanted of an execution that exists.
#[derive(Debug, Clone)]
pub(crate) enum Intent {
    /// Go on from where a crash left it; answer no pause.
    Recover,
    /// Answer a pause point.
    Answer(Answer),
    /// Try again what failed.
    Retry,
    /// Go on with a child that was cancelled or terminated because its parent failed, now that the parent goes on.
    Reopen,
}

impl Intent {
    /// Fits what is wanted to what the execution has become by the time it was claimed; nothing where it is over.
    pub(crate) fn fit(self, record: &ExecutionRecord) -> Option<Self> {
        let is_wanted = match self {
            Self::Retry => record.status == Status::Failed,
            Self::Reopen => matches!(record.status, Status::Cancelled | Status::Terminated),
            Self::Recover | Self::Answer(_) => !record.status.is_finished(),
        };
        if is_wanted {
            return Some(self);
        }
        (!record.status.is_finished()).then_some(Self::Recover)
    }
}

/// The answer to a pause point.
#[derive(Debug, Clone, Default)]
pub(crate) struct Answer {
    /// Which pause point, where the caller said.
    pub(crate) at: Option<String>,
    /// The value, where the caller gave one.
    pub(crate) value: Option<Payload>,
    /// The pause point that waited when the caller asked: no later one is answered in its stead.
    pub(crate) meant: Option<PausePoint>,
}

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

/// Why a driver stops without having settled its execution.
#[derive(Debug)]
pub(crate) enum Halt {
    /// It is not to start; nothing was written.
    Refused(Refusal),
    /// Flux could not go on; the execution is resumable.
    Error(Error),
    /// The end of its code was not written, because its inbox holds a command that was not read.
    Unread,
    /// Its next attempt is not to begin now, because it is to be held or its process is about to end.
    PutOff,
}

impl From<Error> for Halt {
    fn from(error: Error) -> Self {
        Self::Error(error)
    }
}

impl From<crate::store::StoreError> for Halt {
    fn from(error: crate::store::StoreError) -> Self {
        Self::Error(error.into())
    }
}
