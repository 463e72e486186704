//! The page on the command line, `docs/cli.md`, names every command and every key that is printed.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use flux::{Engine, ExecutionContext, TaskError, task, workflow};
use serde_json::Value;

const PAGE: &str = include_str!("../../docs/cli.md");

/// What holds values of users, and what is keyed by statuses.
const NOT_OURS: &[&str] = &["payload", "input", "output", "executions"];

#[task]
async fn refuse(reason: String) -> Result<(), String> {
    Err(reason)
}

#[workflow]
async fn ask_somebody(_ctx: ExecutionContext) -> Result<(), TaskError> {
    flux::pause("review").value::<bool>().await;
    Ok(())
}

#[workflow(timeout = "1h", tags("shop"), schedule = "0 3 * * *")]
async fn refuse_it(_ctx: ExecutionContext) -> Result<(), TaskError> {
    refuse("no".to_owned()).await
}

/// What the binary prints, as JSON; its exit code is not looked at.
fn printed(store: &Path, words: &str) -> Value {
    let output = Command::new(env!("CARGO_BIN_EXE_flux"))
        .args(words.split(' '))
        .args(["-o", "json", "--db"])
        .arg(store)
        .output()
        .unwrap();
    serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|error| panic!("{words}: {error}: {output:?}"))
}

fn collect(value: &Value, keys: &mut BTreeSet<String>) {
    match value {
        Value::Array(values) => values.iter().for_each(|value| collect(value, keys)),
        Value::Object(fields) => {
            for (key, value) in fields {
                keys.insert(key.clone());
                if !NOT_OURS.contains(&key.as_str()) {
                    collect(value, keys);
                }
            }
        }
        _ => {}
    }
}

/// The words that stand in code on the page.
fn in_code() -> BTreeSet<&'static str> {
    let spans = PAGE.split('`').skip(1).step_by(2);
    spans
        .flat_map(|span| span.split(|c: char| !(c.is_alphanumeric() || c == '_')))
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_key_of_the_json_is_on_the_page() {
    let folder = tempfile::tempdir().unwrap();
    let store = folder.path().join("flux.db");
    let engine = Engine::open(store.to_str().unwrap()).await.unwrap();
    let worker = engine.worker().spawn();
    let _ = ask_somebody
        .on(&engine)
        .run(())
        .execution_id("asks")
        .await
        .unwrap();
    let _ = refuse_it
        .on(&engine)
        .run(())
        .execution_id("fails")
        .await
        .unwrap();
    engine.queue("letters").rate("5/s").await.unwrap();
    while engine.catalog().await.unwrap().is_empty() || engine.schedules().await.unwrap().is_empty()
    {
        tokio::task::yield_now().await; // the worker tells of both when it begins
    }
    let mut keys = BTreeSet::new();
    let copy = folder.path().join("copy.db");
    for words in [
        "list",
        "show fails --events --io --tree",
        "show asks",
        "status fails -v",
        "workflow show refuse_it",
        "schedule list",
        "schedule preview refuse_it",
        "queue list",
        "worker list",
        "db info",
        "db check",
        "db migrate",
        "doctor",
        &format!("db backup {}", copy.display()),
    ] {
        collect(&printed(&store, words), &mut keys);
    }
    worker.stop().await;
    let described = in_code();
    let missing: Vec<_> = keys
        .iter()
        .filter(|key| !described.contains(key.as_str()))
        .collect();
    assert!(keys.len() > 100, "{keys:?}");
    assert!(missing.is_empty(), "{missing:?}");
}

#[test]
fn every_command_is_on_the_page() {
    let help = Command::new(env!("CARGO_BIN_EXE_flux"))
        .arg("--help")
        .output()
        .unwrap();
    let help = String::from_utf8(help.stdout).unwrap();
    let grouped = help
        .lines()
        .skip_while(|line| !line.starts_with("Look"))
        .take_while(|line| !line.starts_with("Global"));
    let names: Vec<_> = grouped
        .filter_map(|line| line.get(8..)?.split(' ').next())
        .collect();
    assert!(names.len() > 20, "{names:?}");
    let described = in_code();
    for name in names {
        assert!(described.contains(name), "{name}");
    }
}
