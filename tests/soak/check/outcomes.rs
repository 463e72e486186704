//! What the code was given: words in order, answers to those who asked, transactions once.

use std::collections::{BTreeMap, BTreeSet};

use flux::sqlite::rusqlite::Connection;
use flux::{Event, EventKind, Execution};

use super::Evidence;
use crate::code::{Given, answer};
use crate::site::Site;

pub fn check(run: &Execution, evidence: &Evidence) -> Result<(), String> {
    if run.schedule().is_some() || !run.has_succeeded() {
        return Ok(());
    }
    let given: Given = serde_json::from_value(run.output().unwrap().clone()).unwrap();
    for (point, value) in &given.answers {
        if *value != answer(point) {
            return Err(format!("{point} was answered with another's {value}"));
        }
    }
    let (_, events) = evidence
        .runs
        .iter()
        .find(|(it, _)| it.execution_id() == run.execution_id())
        .unwrap();
    let is_rewound = events.iter().any(|event| event.kind == EventKind::Rewound);
    let wanted: Vec<u32> = (0..).take(given.heard.len()).collect();
    if !is_rewound && given.heard != wanted {
        let history = crate::history::lines(events);
        return Err(format!("it heard {:?}\n{history}", given.heard));
    }
    Ok(())
}

fn of_kind(events: &[Event], kind: EventKind) -> impl Iterator<Item = &Event> {
    events.iter().filter(move |event| event.kind == kind)
}

/// What was booked is what is recorded as booked.
pub fn check_booked(site: &Site, evidence: &Evidence) -> Vec<String> {
    let connection = Connection::open(site.store()).unwrap();
    let mut select = connection
        .prepare("SELECT id, count(*) FROM booked GROUP BY id")
        .unwrap();
    let rows = select.query_map([], |row| Ok((row.get(0)?, row.get(1)?)));
    let booked: BTreeMap<String, i64> = rows.unwrap().collect::<Result<_, _>>().unwrap();
    let mut wrong = Vec::new();
    for (run, events) in &evidence.runs {
        let is_book = |event: &&Event| event.name.as_deref() == Some("book");
        let calls = of_kind(events, EventKind::TaskStarted).filter(is_book);
        let calls: BTreeSet<_> = calls.map(|event| Some(event.seq)).collect();
        // An outcome may be delivered again after a rewind, and is then recorded again, too.
        let completed = of_kind(events, EventKind::TaskCompleted).map(|event| event.refers);
        let completed: BTreeSet<_> = completed.filter(|call| calls.contains(call)).collect();
        let recorded = completed.len() as i64;
        let booked = booked
            .get(run.execution_id().as_str())
            .copied()
            .unwrap_or(0);
        if booked != recorded {
            let id = run.execution_id();
            wrong.push(format!(
                "{id} booked {booked} times, and {recorded} are recorded"
            ));
        }
    }
    wrong
}
