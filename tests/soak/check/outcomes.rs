//! What the code was given: words in order, answers to those who asked, transactions once.

use std::collections::BTreeMap;

use flux::sqlite::rusqlite::Connection;
use flux::{EventKind, Execution};

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
        let calls: Vec<_> = events
            .iter()
            .filter(|event| {
                event.kind == EventKind::TaskStarted && event.name.as_deref() == Some("book")
            })
            .map(|event| Some(event.seq))
            .collect();
        let completed = events
            .iter()
            .filter(|event| event.kind == EventKind::TaskCompleted);
        let recorded = completed
            .filter(|event| calls.contains(&event.refers))
            .count();
        let booked = booked
            .get(run.execution_id().as_str())
            .copied()
            .unwrap_or(0);
        if booked != recorded as i64 {
            let id = run.execution_id();
            wrong.push(format!(
                "{id} booked {booked} times, and {recorded} are recorded"
            ));
        }
    }
    wrong
}
