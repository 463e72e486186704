//! After the storm: everything comes to its end, without a restart of what lives.

use std::path::Path;
use std::time::{Duration, Instant};

use flux::Execution;

use crate::command;
use crate::people::People;
use crate::site::Site;

/// How long nothing may change before what is left counts as stuck. Longer than any wait that the engine promises.
const PATIENCE: Duration = Duration::from_secs(45);

/// Serves people's part until nothing is left; what is stuck.
pub async fn to_the_end(people: &mut People<'_>) -> Vec<Execution> {
    let mut before = String::new();
    let mut since = Instant::now();
    loop {
        people.release().await;
        people.serve().await;
        let Some(open) = people.open().await else {
            tokio::time::sleep(Duration::from_millis(100)).await;
            continue;
        };
        // The ticks of the schedule go on; orders do not.
        let open: Vec<_> = open
            .into_iter()
            .filter(|run| run.schedule().is_none())
            .collect();
        if open.is_empty() {
            return open;
        }
        let mut now = String::new();
        for run in &open {
            let last = run.events().await.map_or(0, |events| events.len());
            now += &format!("{}:{last} ", run.execution_id());
        }
        if now != before {
            (before, since) = (now, Instant::now());
        } else if since.elapsed() > PATIENCE {
            return open;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// What is known of an execution that is stuck.
pub async fn tell(binary: Option<&Path>, site: &Site, run: &Execution) -> String {
    let mut told = format!("{run:?}\n");
    if let Ok(events) = run.events().await {
        told += &crate::history::lines(&events);
    }
    if let Some(binary) = binary {
        for args in [&["show", run.execution_id().as_str()][..], &["doctor"]] {
            let output = command::run(binary, site, args);
            told += &String::from_utf8_lossy(&output.stdout);
        }
    }
    for log in site.logs() {
        let said = std::fs::read_to_string(&log).unwrap_or_default();
        for line in said.lines().filter(|line| is_about(line, run)) {
            told += &format!("{}: {line}\n", log.file_stem().unwrap().display());
        }
    }
    told
}

fn is_about(line: &str, run: &Execution) -> bool {
    let id = run.execution_id().as_str();
    line.contains("panicked")
        || line
            .split(|c: char| !c.is_alphanumeric())
            .any(|word| word == id)
}
