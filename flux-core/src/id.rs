//! Identities: newtypes, so that an event number is never taken for an attempt.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::hash::hash_bytes;

/// Names one execution: a UUIDv7 minted by Flux, or any string the caller chose.
///
/// Everything that takes an id takes anything that names one: `&ExecutionId`, `&str`, `String`, `Uuid`.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ExecutionId(Arc<str>);

impl ExecutionId {
    /// Mints a new id, a UUIDv7: ids minted later sort later.
    pub fn mint() -> Self {
        Self(Uuid::now_v7().to_string().into())
    }

    /// Borrows the id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Derives the id of the child started by `call`, the same in every replay: the parent's with the number behind it.
    /// Where that grows long, a hash stands for the middle of it, so that no depth makes an id longer than a row.
    pub(crate) fn child(&self, call: EventSeq) -> Self {
        let id = format!("{}.{call}", self.0);
        if id.len() <= LONGEST_DERIVED {
            return Self(id.into());
        }
        let root = self.0.split('.').next().unwrap_or_default();
        let root = &root[..root.floor_char_boundary(LONGEST_ROOT)];
        let middle = hash_bytes(b'i', self.0.as_bytes());
        Self(format!("{root}.~{middle:032x}.{call}").into())
    }
}

/// The longest id that is derived by adding to the parent's.
const LONGEST_DERIVED: usize = 160;

/// As much of the first ancestor's id as begins an id with a hash in it.
const LONGEST_ROOT: usize = 64;

impl fmt::Display for ExecutionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for ExecutionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&*self.0, f)
    }
}

impl AsRef<str> for ExecutionId {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl From<&ExecutionId> for ExecutionId {
    fn from(id: &ExecutionId) -> Self {
        id.clone()
    }
}

impl From<&str> for ExecutionId {
    fn from(id: &str) -> Self {
        Self(id.into())
    }
}

impl From<String> for ExecutionId {
    fn from(id: String) -> Self {
        Self(id.into())
    }
}

impl From<&String> for ExecutionId {
    fn from(id: &String) -> Self {
        Self(id.as_str().into())
    }
}

impl From<Uuid> for ExecutionId {
    fn from(id: Uuid) -> Self {
        Self(id.to_string().into())
    }
}

impl PartialEq<str> for ExecutionId {
    fn eq(&self, other: &str) -> bool {
        &*self.0 == other
    }
}

impl PartialEq<&str> for ExecutionId {
    fn eq(&self, other: &&str) -> bool {
        &*self.0 == *other
    }
}

/// The number of an event inside its execution's history, from 1.
///
/// A call is named by the number of the event that recorded it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct EventSeq(u32);

impl EventSeq {
    /// The first event of every history.
    pub const FIRST: Self = Self(1);

    /// The largest number a history can hold; a store may pack numbers up to this into a key.
    pub const MAX: Self = Self((1 << 24) - 1);

    /// Wraps a number read from a store.
    pub const fn new(seq: u32) -> Self {
        Self(seq)
    }

    /// Returns the plain number.
    pub const fn get(self) -> u32 {
        self.0
    }

    /// Returns the number after this one.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

impl fmt::Display for EventSeq {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for EventSeq {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "#{}", self.0)
    }
}

/// How often an execution has changed owners; a commit under an older epoch is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Epoch(pub i64);

/// Names one owner of executions: an engine in a process, as its store registered it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct WorkerId(pub i64);

/// A store's own handle on an execution: small, so that hot rows stay narrow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ExecutionKey(pub i64);

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn a_child_is_named_after_its_parent() {
        let parent = ExecutionId::from("order-42");
        assert_eq!(parent.child(EventSeq::new(7)), "order-42.7");
        let grandchild = parent.child(EventSeq::new(7)).child(EventSeq::new(12));
        assert_eq!(grandchild, "order-42.7.12");
    }

    /// What they are derived to is recorded: it never changes.
    #[test]
    fn a_long_id_is_shortened_in_the_middle() {
        let parent = ExecutionId::from(format!("{}.2", "ü".repeat(80)));
        let child = parent.child(EventSeq::new(3));
        let wanted = format!(
            "{}.~{}.3",
            "ü".repeat(32),
            "457287509a7db004c948ca1c7db8c0cc"
        );
        assert_eq!(child.as_str(), wanted);
    }

    #[test]
    fn ids_stay_short_and_different_at_every_depth() {
        let mut seen = BTreeSet::new();
        let mut id = ExecutionId::mint();
        for _ in 0..10_000 {
            assert!(id.as_str().len() <= LONGEST_DERIVED);
            assert!(seen.insert(id.child(EventSeq::new(3))));
            id = id.child(EventSeq::new(2));
            assert!(seen.insert(id.clone()));
        }
    }
}
