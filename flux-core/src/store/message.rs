//! Messages to an execution, from processes and other executions.

use std::sync::Arc;

use crate::clock::Timestamp;
use crate::payload::Payload;

/// A message's number, as its store gave it; later ones are greater.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct MessageId(pub i64);

/// A message in the inbox of an execution, until its driver consumes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// Its number.
    pub id: MessageId,
    /// Its kind.
    pub kind: MessageKind,
    /// The name of the signal; of other kinds, what the kind says.
    pub name: Arc<str>,
    /// Its value.
    pub payload: Payload,
    /// When it was posted.
    pub at: Timestamp,
}

/// A message that has no number yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewMessage {
    /// Its kind.
    pub kind: MessageKind,
    /// The name of the signal; of other kinds, what the kind says.
    pub name: Arc<str>,
    /// Its value.
    pub payload: Payload,
    /// Makes repeats harmless: unique per execution and name.
    pub dedup: Option<Arc<str>>,
    /// When it was posted.
    pub at: Timestamp,
}

/// The kind of a message.
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
    /// The execution is to be put on hold; the payload says why.
    Pause = 5,
    /// A child waits for a `resume`; `name` is its id, the payload says where.
    ChildPaused = 6,
    /// The parent no longer waits for the execution, which continues on its own. This message is not consumed.
    Abandon = 7,
    /// The execution is to continue. The payload says how: a pause point is answered, what failed is tried again, or an
    /// earlier request to put it on hold is taken back.
    Resume = 8,
}

impl MessageKind {
    /// Returns the number that is stored for this kind.
    pub const fn code(self) -> i64 {
        self as i64
    }

    /// Returns the kind that a stored number stands for.
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

    /// Returns whether it is to end the execution.
    pub const fn ends(self) -> bool {
        matches!(self, Self::Cancel | Self::Terminate)
    }

    /// Returns whether it is to pause or end the execution. A finished execution keeps no such message, because a resume
    /// would find it.
    pub const fn is_command(self) -> bool {
        matches!(self, Self::Cancel | Self::Terminate | Self::Pause)
    }

    /// Returns whether a commit sends it to a child alone: what becomes of a child that its parent lets go of.
    pub const fn is_order_to_child(self) -> bool {
        matches!(self, Self::Cancel | Self::Terminate | Self::Abandon)
    }

    /// Returns whether it also reaches an execution on hold, because it ends that execution or lets it continue.
    pub const fn reaches_held(self) -> bool {
        self.ends() || matches!(self, Self::Resume)
    }
}
