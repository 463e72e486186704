//! Operations, with choices for numbers: each store puts in its own.

use super::names::name;
use crate::clock::Timestamp;
use crate::id::WorkerId;
use crate::store::contract::given::new;
use crate::store::{
    Change, Filter, MessageKind, NewExecution, Placement, QueueChange, Unfinished, WorkRequest,
};

/// One operation, with choices for numbers: each side puts in its own.
#[derive(Debug)]
pub(super) enum Op {
    Join(usize),
    Leave(usize),
    Create {
        id: usize,
        /// `None`: it waits.
        worker: Option<usize>,
        placement: Placement,
        created_at: Timestamp,
        commit: Plan,
    },
    ClaimReady {
        worker: usize,
        /// With another one's worker.
        request: WorkRequest,
        except: Vec<usize>,
        only: Option<usize>,
    },
    SetQueue(usize, QueueChange),
    PutSchedule(Option<Timestamp>),
    Fire(Firing),
    Look(Timestamp),
    Commit {
        id: usize,
        epoch: i64,
        commit: Plan,
    },
    Claim {
        id: usize,
        worker: usize,
    },
    Release {
        id: usize,
        epoch: i64,
        ready_at: Option<Timestamp>,
    },
    Note {
        id: usize,
        epoch: i64,
    },
    Post {
        id: usize,
        kind: MessageKind,
        name: usize,
        dedup: Option<usize>,
    },
    List(Filter),
}

/// What a schedule does.
#[derive(Debug)]
pub(super) struct Firing {
    pub(super) advance: Option<(Timestamp, Option<Timestamp>)>,
    pub(super) start: Vec<(usize, Placement)>,
    pub(super) now: Timestamp,
    pub(super) unfinished: Unfinished,
}

/// What a commit does.
#[derive(Clone, Debug)]
pub(super) struct Plan {
    pub(super) first: u32,
    pub(super) count: u32,
    pub(super) change: Option<Change>,
    /// The place in the inbox of the message that a release has seen.
    pub(super) seen: Option<usize>,
    /// Whether it heeds what came after that message, and whether pauses count.
    pub(super) heeds: Option<bool>,
    /// How many of the oldest messages it consumes.
    pub(super) consumed: usize,
    pub(super) published: Vec<(usize, u32)>,
    pub(super) outbox: Vec<(usize, usize, Option<usize>)>,
}

impl Op {
    /// The execution that it is about.
    pub(super) fn touches(&self) -> Option<usize> {
        match self {
            Self::Create { id, .. }
            | Self::Commit { id, .. }
            | Self::Claim { id, .. }
            | Self::Release { id, .. }
            | Self::Note { id, .. }
            | Self::Post { id, .. } => Some(*id),
            _ => None,
        }
    }
}

/// The row of an execution: its number says what is not chosen.
pub(super) fn row_of(
    id: usize,
    owner: Option<WorkerId>,
    placement: Placement,
    created_at: Timestamp,
) -> NewExecution {
    let tags = (0..2).filter(|tag| id.is_multiple_of(tag + 2));
    NewExecution {
        version: if id % 5 == 1 { 2 } else { 1 },
        created_at,
        parent: (id % 3 == 1).then(|| name(0).into()),
        owner,
        placement: Placement {
            tags: tags.map(|tag| name(tag).into()).collect(),
            ..placement
        },
        ..new(&name(id), WorkerId(0))
    }
}
