//! What the tests share: stores that two engines can use, counters of bodies, histories as text.

use std::fmt::Write as _;
use std::time::Duration;

use flux::{Engine, Event, EventKind, Execution, ExecutionId, Status};

pub(crate) mod agree;
mod clock;
pub(crate) mod edits;
pub(crate) mod process;
mod shelf;
mod tally;
pub(crate) mod trip;
mod watched;

pub(crate) use clock::{HandClock, TokioClock, utc};
pub(crate) use shelf::{Fault, Shelf, When};
pub(crate) use tally::{
    begin, code_of, most_at_once, ran, set_code, spend, spend_in, started, unique,
};
pub(crate) use watched::Step;

/// Injected into the tasks that ask for it; every engine of these tests has one.
#[derive(Debug)]
pub(crate) struct Greeter {
    pub(crate) word: &'static str,
}

/// The kinds of a history, in order.
pub(crate) async fn kinds(engine: &Engine, id: &ExecutionId) -> Vec<EventKind> {
    let events = engine.history(id).await.unwrap();
    events.iter().map(|event| event.kind).collect()
}

/// How often a history has an event of this kind.
pub(crate) async fn count(engine: &Engine, id: &ExecutionId, kind: EventKind) -> usize {
    let kinds = kinds(engine, id).await;
    kinds.into_iter().filter(|other| *other == kind).count()
}

/// A history without what differs from run to run: ids and times. One event a line.
pub(crate) fn lines(events: &[Event]) -> String {
    let mut text = String::new();
    for event in events {
        write!(text, "{} {}", event.seq, event.kind).unwrap();
        if let Some(name) = &event.name {
            write!(text, " {name}").unwrap();
        }
        if let Some(call) = event.refers {
            write!(text, " <{call}>").unwrap();
        }
        if let Some(payload) = &event.payload {
            write!(text, " {payload}").unwrap();
        }
        text.push('\n');
    }
    without_uuids(&text)
}

/// Replaces what looks like a UUID.
fn without_uuids(text: &str) -> String {
    let is_uuid = |part: &str| part.len() == 36 && uuid::Uuid::try_parse(part).is_ok();
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        if rest.get(..36).is_some_and(is_uuid) {
            out.push_str("<uuid>");
            rest = &rest[36..];
        } else {
            out.push(first);
            rest = &rest[first.len_utf8()..];
        }
    }
    out
}

/// The payloads of the events of one kind.
pub(crate) fn payloads(events: &[Event], kind: EventKind) -> Vec<String> {
    let of_kind = events.iter().filter(|event| event.kind == kind);
    of_kind
        .filter_map(|event| event.payload.as_ref().map(ToString::to_string))
        .collect()
}

/// The names of the events of one kind.
pub(crate) fn names(events: &[Event], kind: EventKind) -> Vec<String> {
    let of_kind = events.iter().filter(|event| event.kind == kind);
    of_kind
        .filter_map(|event| event.name.as_deref().map(str::to_owned))
        .collect()
}

/// Lets everything that is ready run, on a runtime of one thread.
pub(crate) async fn settle() {
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
}

/// Waits until a started execution has left memory: nobody owns it.
pub(crate) async fn asleep(engine: &Engine, id: &ExecutionId) -> Execution {
    loop {
        let run = engine.get(id).await.unwrap();
        if run.worker().is_none() && run.status() != Status::Pending {
            return run;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Drives an execution until a body has begun, and then drops it where it stands, as its process does that dies.
pub(crate) async fn dies_in<F: Future>(run: F, id: &ExecutionId, task: &str) {
    let began = async {
        while ran(id, task) == 0 {
            tokio::task::yield_now().await;
        }
    };
    tokio::select! {
        biased;
        _ = run => panic!("it ended before it could die"),
        () = began => {}
    }
}
