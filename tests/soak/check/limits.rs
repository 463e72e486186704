//! Limits of queues and locks, by the histories.

use std::collections::{BTreeMap, BTreeSet};

use flux::clock::Timestamp;
use flux::{Event, EventKind, Execution};

use super::{Evidence, spans};
use crate::code::IN_TURN;
use crate::desk::queue;
use crate::feature::Feature;
use crate::ledger::{Step, pid_of};
use crate::script::ms;

pub fn check(evidence: &Evidence) -> Vec<String> {
    // Clocks that are set ahead and back tell no order.
    if Feature::Clock.is_on() {
        return Vec::new();
    }
    let mut wrong = Vec::new();
    let narrow = first_spans(evidence, queue::NARROW).collect::<Vec<_>>();
    let most = spans::most_at_once(narrow);
    if most > queue::AT_ONCE as i32 {
        wrong.push(format!("{most} of the queue {} at once", queue::NARROW));
    }
    wrong.extend(check_rate(evidence));
    wrong.extend(check_gates(evidence));
    wrong.extend(check_workers(evidence));
    wrong.extend(check_delays(evidence));
    wrong
}

/// From the start to the first end: what is resumed by hand is beyond the limits of its queue.
fn first_spans(evidence: &Evidence, queue: &str) -> impl Iterator<Item = spans::Span> {
    let of_queue = evidence
        .runs
        .iter()
        .filter(move |(run, _)| run.queue() == Some(queue));
    of_queue.filter_map(|(_, events)| spans::of(events).into_iter().next())
}

fn check_rate(evidence: &Evidence) -> Option<String> {
    let of_queue = evidence
        .runs
        .iter()
        .filter(|(run, _)| run.queue() == Some(queue::RATED));
    let started = of_queue.filter_map(|(_, events)| {
        let started = events
            .iter()
            .find(|event| event.kind == EventKind::WorkflowStarted);
        started.map(|event| event.at)
    });
    let mut starts: Vec<Timestamp> = started.collect();
    starts.sort();
    let span = starts.windows(queue::RATE + 1).find(|span| {
        let (first, last) = (span[0], span[queue::RATE]);
        last.since(first) < ms(1000)
    });
    span.map(|span| format!("more than {} starts in a second: {span:?}", queue::RATE))
}

/// One of a lock at a time, and so many of a workflow.
fn check_gates(evidence: &Evidence) -> Vec<String> {
    let mut inside: BTreeMap<String, Vec<spans::Span>> = BTreeMap::new();
    for (run, events) in &evidence.runs {
        let gate = match run.workflow() {
            "play_alone" => {
                let input = events[0].payload.as_ref().unwrap();
                let order: crate::code::Order = input.decode().unwrap();
                format!("lock {}", order.lock)
            }
            "play_in_turn" => "play_in_turn".to_owned(),
            _ => continue,
        };
        inside.entry(gate).or_default().extend(spans::of(events));
    }
    let too_many = inside.into_iter().filter_map(|(gate, spans)| {
        let limit = if gate == "play_in_turn" { IN_TURN } else { 1 };
        let most = spans::most_at_once(spans);
        (most > limit).then(|| format!("{most} inside {gate} at once"))
    });
    too_many.collect()
}

/// One process works at so many of the shared queue at once, by the ledger. What a person had resumed is beyond it.
fn check_workers(evidence: &Evidence) -> Vec<String> {
    let is_shared = |(run, events): &&(Execution, Vec<Event>)| {
        run.queue() == Some(queue::SHARED) && !events.iter().any(super::was_asked)
    };
    let shared: BTreeSet<&str> = evidence
        .runs
        .iter()
        .filter(is_shared)
        .map(|(run, _)| run.execution_id().as_str())
        .collect();
    let mut at_work: BTreeMap<u32, BTreeMap<&str, &str>> = BTreeMap::new();
    let mut wrong = Vec::new();
    for step in &evidence.entries.steps {
        match step {
            Step::Begins { key, name } => {
                let id = key.split('/').next().unwrap();
                // A thread goes on when what it worked for has ended.
                if !shared.contains(id) || evidence.entries.runs[key][0].task == "block" {
                    continue;
                }
                let pid = pid_of(name);
                let of_process = at_work.entry(pid).or_default();
                of_process.insert(name, id);
                let different: BTreeSet<_> = of_process.values().collect();
                if different.len() > queue::PER_WORKER as usize {
                    wrong.push(format!("process {pid} works at {different:?} at once"));
                }
            }
            Step::IsOver { name } => {
                at_work.entry(pid_of(name)).or_default().remove(&**name);
            }
        }
    }
    wrong
}

/// What was delayed started when it was due.
fn check_delays(evidence: &Evidence) -> Vec<String> {
    let early = evidence.runs.iter().filter(|(_, events)| {
        let meta = events[0]
            .meta
            .as_ref()
            .map(|meta| meta.decode::<serde_json::Value>().unwrap());
        let due = meta.and_then(|meta| meta["due"].as_i64());
        let started = events
            .iter()
            .find(|event| event.kind == EventKind::WorkflowStarted);
        due.is_some_and(|due| started.is_some_and(|event| event.at.as_micros() < due))
    });
    early
        .map(|(run, _)| format!("{} started too early", run.execution_id()))
        .collect()
}
