//! What executions and processes send to an execution.

use std::sync::Arc;

use crate::clock::Timestamp;
use crate::payload::Payload;

/// A message's number, as its store gave it; later ones are greater.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct MessageId(pub i64);

/// What others want of an execution, until its driver delivers it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// Its number.
    pub id: MessageId,
    /// What sort it is.
    pub kind: MessageKind,
    /// The signal's name, or what else tells it apart.
    pub name: Arc<str>,
    /// Its value.
    pub payload: Payload,
    /// When it was posted.
    pub at: Timestamp,
}

/// A message that has no number yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewMessage {
    /// What sort it is.
    pub kind: MessageKind,
    /// The signal's name, or what else tells it apart.
    pub name: Arc<str>,
    /// Its value.
    pub payload: Payload,
    /// Makes repeats harmless: unique per execution and name.
    pub dedup: Option<Arc<str>>,
    /// When it was posted.
    pub at: Timestamp,
}

/// What a message wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
#[repr(u8)]
pub enum MessageKind {
    /// A signal for code that waits for its name, now or later.
    Signal = 1,
    /// A child has finished; `name` is its id.
    ChildEnded = 2,
    /// The execution is to be cancelled.
    Cancel = 3,
    /// The execution is to be terminated; the payload says why.
    Terminate = 4,
    /// The execution is to be kept from going on; the payload says why.
    Pause = 5,
    /// A child waits for a `resume`; `name` is its id, the payload says where.
    ChildPaused = 6,
    /// The parent has let go of the execution, which goes on by itself. It is not consumed.
    Abandon = 7,
    /// The execution is to go on, of which the payload says more: a pause point is answered, what failed is tried again,
    /// or what was asked of it before, to be on hold, is taken back.
    Resume = 8,
}

impl MessageKind {
    /// The stored number.
    pub const fn code(self) -> i64 {
        self as i64
    }

    /// The kind a stored number stands for.
    pub const fn from_code(code: i64) -> Option<Self> {
        match code {
            1 => Some(Self::Signal),
            2 => Some(Self::ChildEnded),
            3 => Some(Self::Cancel),
            4 => Some(Self::Terminate),
            5 => Some(Self::Pause),
            6 => Some(Self::ChildPaused),
            7 => Some(Self::Abandon),
            8 => Some(Self::Resume),
            _ => None,
        }
    }

    /// Whether it is to end the execution.
    pub const fn ends(self) -> bool {
        matches!(self, Self::Cancel | Self::Terminate)
    }

    /// Whether it says how an execution is to continue or end. One that has finished keeps none: a resume is not to find it.
    pub const fn is_command(self) -> bool {
        matches!(self, Self::Cancel | Self::Terminate | Self::Pause)
    }

    /// Whether it reaches also an execution that is on hold: it is to end it, or to let it go on.
    pub const fn reaches_held(self) -> bool {
        self.ends() || matches!(self, Self::Resume)
    }
}
