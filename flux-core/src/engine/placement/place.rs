//! Where a new execution belongs: its queue and partition, its gate, its keys.

use std::sync::Arc;

use serde_json::Value;

use crate::clock::Timestamp;
use crate::engine::kernel::Kernel;
use crate::engine::kernel::refuse::invalid;
use crate::error::Error;
use crate::names::check_name;
use crate::payload::Payload;
use crate::store::{Gate, Placement};
use crate::workflow::{OnConflict, WorkflowDef};

/// What the caller of a start asked for.
#[derive(Debug, Default)]
pub(crate) struct Wishes {
    pub(crate) queue: Option<Arc<str>>,
    pub(crate) priority: i32,
    pub(crate) due: Option<Timestamp>,
    /// See [`Placement::is_delay`].
    pub(crate) is_delay: bool,
    pub(crate) dedup: Option<Arc<str>>,
}

/// Separates a dedup key from what it is unique in. No name has it.
const SEPARATOR: char = '\u{1f}';

/// The key as the caller gave it.
pub(crate) fn dedup_key(stored: &str) -> String {
    let key = stored.split_once(SEPARATOR).map_or(stored, |(_, key)| key);
    key.to_owned()
}

/// Finds out where a new execution belongs.
pub(crate) async fn place(
    kernel: &Kernel,
    def: &WorkflowDef,
    input: &Payload,
    wishes: Wishes,
) -> Result<Placement, Error> {
    let options = &def.options;
    let queue = wishes.queue.or_else(|| options.queue.map(Arc::from));
    check_name("name of a queue", queue.as_deref())?;
    let partition = match &queue {
        Some(queue) => partition(kernel, queue, def, input).await?,
        None => None,
    };
    let dedup = wishes.dedup.map(|key| {
        let scope = queue
            .as_deref()
            .map_or_else(|| format!("w:{}", def.name), |queue| format!("q:{queue}"));
        format!("{scope}{SEPARATOR}{key}").into()
    });
    Ok(Placement {
        queue,
        partition,
        priority: wishes.priority,
        due: wishes.due,
        is_delay: wishes.is_delay,
        gate: gate(def, input)?,
        dedup,
        schedule: None,
        scheduled_at: None,
        tags: options.tags.iter().map(|tag| Arc::from(*tag)).collect(),
    })
}

/// What limits how many executions like this one run at once.
pub(crate) fn gate(def: &WorkflowDef, input: &Payload) -> Result<Option<Gate>, Error> {
    let options = &def.options;
    if let Some(limit) = options.concurrency {
        return Ok(Some(Gate {
            key: format!("workflow:{}", def.name).into(),
            limit,
            refuses: options.on_conflict != OnConflict::Queue,
        }));
    }
    let Some(template) = options.lock else {
        return Ok(None);
    };
    Ok(Some(Gate {
        key: format!("lock:{}", fill(template, def, input)?).into(),
        limit: 1,
        refuses: false,
    }))
}

async fn partition(
    kernel: &Kernel,
    queue: &str,
    def: &WorkflowDef,
    input: &Payload,
) -> Result<Option<Arc<str>>, Error> {
    let settings = kernel.store.queue(queue).await?;
    let Some(path) = settings.partition_by else {
        return Ok(None);
    };
    let value = read(def, input)?;
    // What has no such field shares a partition.
    Ok(field(&value, &path).and_then(text).map(Arc::from))
}

/// Fills the placeholders of a lock's key with fields of the input.
fn fill(template: &str, def: &WorkflowDef, input: &Payload) -> Result<String, Error> {
    let value = read(def, input)?;
    let mut key = String::new();
    let mut rest = template;
    while let Some(at) = rest.find(['{', '}']) {
        let (before, brace) = rest.split_at(at);
        key.push_str(before);
        if brace.starts_with("{{") || brace.starts_with("}}") {
            key.push_str(&brace[..1]);
            rest = &brace[2..];
            continue;
        }
        // The macro has checked that every brace is closed.
        let (path, after) = brace[1..].split_once('}').unwrap_or((&brace[1..], ""));
        let found = field(&value, path.trim()).and_then(text);
        key.push_str(&found.ok_or_else(|| lacks(def, template, path))?);
        rest = after;
    }
    key.push_str(rest);
    Ok(key)
}

fn lacks(def: &WorkflowDef, template: &str, path: &str) -> Error {
    Error::InvalidInput {
        what: format!("input of workflow `{}`", def.name),
        path: path.to_owned(),
        message: format!(
            "its lock `{template}` takes a text, a number or a truth value from there, and there is none"
        ),
    }
}

fn read(def: &WorkflowDef, input: &Payload) -> Result<Value, Error> {
    let decoded = input.decode();
    decoded.map_err(|error| invalid(format!("input of workflow `{}`", def.name), error))
}

/// The value at a dotted path; the empty path is the whole.
fn field<'a>(value: &'a Value, path: &str) -> Option<&'a Value> {
    let names = path.split('.').filter(|name| !name.is_empty());
    names
        .into_iter()
        .try_fold(value, |value, name| match value {
            Value::Array(items) => items.get(name.parse::<usize>().ok()?),
            _ => value.get(name),
        })
}

/// What can be part of a key.
fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(_) | Value::Bool(_) => Some(value.to_string()),
        _ => None,
    }
}
