//! Errors as data: what the history keeps of a value that was once an error.

use std::any::{TypeId, type_name};
use std::error::Error as StdError;
use std::fmt;
use std::sync::Arc;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::names;
use crate::digest::digest;
use crate::order::has_same_items;
use crate::payload::Payload;
use crate::type_name::readable;

/// An error as it is recorded: enough to show it, and to have it back where its type allows.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ErrorRecord {
    /// The Rust type as people read it; one of the standard library without its path. It decides nothing, because it
    /// changes when the type is moved.
    #[serde(rename = "type")]
    pub type_name: String,
    /// The name that its task or workflow gives the type: `#[task(error = "..")]`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Its `Display`.
    pub message: String,
    /// The `Display` of each source, outermost first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub chain: Vec<String>,
    /// The value itself, where its type is `Serialize`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub json: Option<Payload>,
}

impl ErrorRecord {
    /// An error of Flux's own making, which has no user type behind it.
    pub fn message(message: impl Into<String>) -> Self {
        Self {
            type_name: String::new(),
            name: None,
            message: message.into(),
            chain: Vec::new(),
            json: None,
        }
    }

    /// Keeps an error from outgrowing what may be recorded: long texts are cut, a value larger than `limit`
    /// is left out.
    #[must_use]
    pub(crate) fn within(mut self, limit: usize) -> Self {
        for text in std::iter::once(&mut self.message).chain(&mut self.chain) {
            cut(text, LONGEST_TEXT.min(limit));
        }
        self.json = self.json.filter(|json| json.size() <= limit);
        self
    }

    /// What an execution keeps of an error that came to it from a child and that it fails with itself: the whole of it is
    /// in the child's history. Each parent on the way up adds to what it was given, so that without a bound the
    /// records of a deep tree would grow by the square of its depth, or more.
    #[must_use]
    pub(crate) fn climbing(mut self) -> Self {
        shorten(&mut self.message);
        if self.chain.len() > LONGEST_CLIMBING_CHAIN {
            let half = LONGEST_CLIMBING_CHAIN / 2;
            let left_out = half..self.chain.len() - half;
            self.chain.splice(left_out, ["…".to_owned()]);
        }
        self.chain.iter_mut().for_each(shorten);
        self.json = self.json.filter(|json| json.size() <= LARGEST_CLIMBING);
        self
    }

    /// Returns the value, if it is recorded whole, its JSON is that of an `E`, and the name that it was recorded under, if
    /// it has one, is a name of `E`.
    pub fn downcast<E: DeserializeOwned + 'static>(&self) -> Option<E> {
        let fits = names::fits(self.name.as_deref(), TypeId::of::<E>());
        self.json.as_ref().filter(|_| fits)?.decode().ok()
    }

    /// The recorded sources as a chain of errors.
    pub(crate) fn source(&self) -> Option<Arc<RecordedCause>> {
        self.chain.iter().rev().fold(None, |source, message| {
            Some(Arc::new(RecordedCause {
                message: message.clone(),
                source,
            }))
        })
    }
}

/// Whether two errors say the same. The name of its type is no part of what an error says: it changes when a module is renamed.
pub(crate) fn is_same_error(recorded: &ErrorRecord, found: &ErrorRecord) -> bool {
    recorded.message == found.message
        && recorded.chain == found.chain
        && is_same_json(recorded.json.as_ref(), found.json.as_ref())
}

/// An error is recorded even if it holds a `HashSet`, so the order of items does not count.
fn is_same_json(recorded: Option<&Payload>, found: Option<&Payload>) -> bool {
    match (recorded, found) {
        (Some(recorded), Some(found)) => {
            digest(recorded.as_str()) == digest(found.as_str()) || has_same_items(recorded, found)
        }
        (recorded, found) => recorded.is_none() && found.is_none(),
    }
}

/// The type of an error that is being recorded.
#[derive(Clone, Copy, Debug)]
pub struct SeenType {
    name: &'static str,
    id: TypeId,
}

impl SeenType {
    /// The type `E`.
    pub fn of<E: 'static>() -> Self {
        Self {
            name: type_name::<E>(),
            id: TypeId::of::<E>(),
        }
    }

    /// What tells it from others.
    pub fn id(self) -> TypeId {
        self.id
    }

    /// Its name in Rust, for people.
    pub(crate) fn rust_name(self) -> String {
        readable(self.name)
    }
}

/// The longest text of an error that is recorded whole.
const LONGEST_TEXT: usize = 64 * 1024;

/// The longest text that climbs from child to parent whole.
const LONGEST_CLIMBING_TEXT: usize = 1024;

/// The most sources that climb.
const LONGEST_CLIMBING_CHAIN: usize = 8;

/// The largest value that climbs.
const LARGEST_CLIMBING: usize = 4 * 1024;

/// Leaves out the middle of a long text: where it went wrong is at its end, the way it came at its beginning.
fn shorten(text: &mut String) {
    if text.len() <= LONGEST_CLIMBING_TEXT {
        return;
    }
    let head = text.floor_char_boundary(LONGEST_CLIMBING_TEXT / 4);
    let tail = text.ceil_char_boundary(text.len() - LONGEST_CLIMBING_TEXT / 2);
    text.replace_range(head..tail, " … ");
}

fn cut(text: &mut String, limit: usize) {
    let size = text.len();
    if size <= limit {
        return;
    }
    text.truncate(text.floor_char_boundary(limit));
    text.push_str("… (cut: it had ");
    text.push_str(&size.to_string());
    text.push_str(" bytes)");
}

/// A recorded source: its message is all that is left of it.
#[derive(Debug, Clone)]
pub(crate) struct RecordedCause {
    message: String,
    source: Option<Arc<RecordedCause>>,
}

impl fmt::Display for RecordedCause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl StdError for RecordedCause {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.source.as_deref().map(|cause| cause as _)
    }
}
