//! What has to hold when everything is over.

use std::collections::BTreeMap;
use std::path::Path;

use flux::{Engine, Event, EventKind, Execution};

use crate::command;
use crate::history;
use crate::ledger::Entries;
use crate::site::Site;

mod bodies;
mod children;
mod limits;
mod outcomes;
mod spans;

/// All that is known of a round.
pub struct Evidence {
    pub runs: Vec<(Execution, Vec<Event>)>,
    pub entries: Entries,
}

/// Looks at everything; what it was.
pub async fn everything(
    binary: Option<&Path>,
    site: &Site,
    engine: &Engine,
) -> Result<String, String> {
    let evidence = gather(site, engine).await?;
    let mut wrong = Vec::new();
    for (run, events) in &evidence.runs {
        let id = run.execution_id();
        let events = whole(events);
        if let Err(error) = events.and_then(|()| outcomes::check(run, &evidence)) {
            wrong.push(format!("{id}: {error}"));
        }
        if let Err(error) = replay(engine, run).await {
            wrong.push(format!("{id} does not replay: {error}"));
        }
    }
    wrong.extend(bodies::check(&evidence));
    wrong.extend(outcomes::check_booked(site, &evidence));
    wrong.extend(limits::check(&evidence));
    wrong.extend(children::check(&evidence));
    wrong.extend(binary.and_then(|binary| check_store(binary, site)));
    for id in &evidence.entries.started {
        if !evidence
            .runs
            .iter()
            .any(|(run, _)| run.execution_id().as_str() == id)
        {
            wrong.push(format!("{id} was started, and is not there"));
        }
    }
    if wrong.is_empty() {
        Ok(summary(&evidence))
    } else {
        Err(format!(
            "{} things are wrong:\n{}",
            wrong.len(),
            wrong.join("\n")
        ))
    }
}

async fn gather(site: &Site, engine: &Engine) -> Result<Evidence, String> {
    let all = engine.list().limit(1_000_000).await;
    let mut runs = Vec::new();
    for run in all.map_err(|error| error.to_string())? {
        let events = run.events().await.map_err(|error| error.to_string())?;
        runs.push((run, events));
    }
    let entries = Entries::read(&site.ledger());
    Ok(Evidence { runs, entries })
}

fn whole(events: &[Event]) -> Result<(), String> {
    history::check(events).map_err(|error| format!("{error}\n{}", history::lines(events)))
}

/// What the last second of a schedule began may not have ended.
async fn replay(engine: &Engine, run: &Execution) -> Result<(), String> {
    let replayed = engine.replay(run.execution_id()).await;
    replayed.map(drop).map_err(|error| error.to_string())
}

fn check_store(binary: &Path, site: &Site) -> Option<String> {
    let output = command::run(binary, site, &["db", "check"]);
    let said = [output.stdout, output.stderr].concat();
    (!output.status.success()).then(|| String::from_utf8_lossy(&said).into_owned())
}

fn summary(evidence: &Evidence) -> String {
    let mut statuses = BTreeMap::new();
    for (run, _) in &evidence.runs {
        *statuses.entry(run.status().to_string()).or_insert(0) += 1;
    }
    let events: usize = evidence.runs.iter().map(|(_, events)| events.len()).sum();
    let bodies: usize = evidence.entries.runs.values().map(Vec::len).sum();
    format!("{statuses:?}, {events} events, {bodies} bodies")
}

/// A person asked for this rewind; the attempts of a workflow follow by themselves.
fn was_asked(event: &Event) -> bool {
    if event.kind != EventKind::Rewound {
        return false;
    }
    let meta: serde_json::Value = event.meta.as_ref().unwrap().decode().unwrap();
    meta["attempt"] == meta["budget_from"]
}
