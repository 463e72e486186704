//! `doctor` and `list` tell of a child that waits for the place that its parent holds.
//!
//! In a program of its own, because the workflows of a program are in the catalog of every store that it makes.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::process::Command;
use std::time::Duration;

use flux::{Engine, ExecutionContext, ObstacleKind, TaskError, workflow};
use serde_json::Value;
use tempfile::TempDir;

/// What the binary prints in this folder; it has to end with this code.
fn flux(folder: &TempDir, words: &str, code: i32) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_flux"))
        .args(words.split(' '))
        .current_dir(folder)
        .env_remove("FLUX_STORE")
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(code), "{words}: {output:?}");
    String::from_utf8(output.stdout).unwrap()
}

#[workflow(queue = "imports")]
async fn import_page(_ctx: ExecutionContext) {}

#[workflow(queue = "imports")]
async fn import_book(_ctx: ExecutionContext) -> Result<(), TaskError> {
    import_page.call(()).execution_id("page").await
}

/// Parent and child waited for each other, with a worker that lives, and every finding was good.
#[tokio::test(flavor = "multi_thread")]
async fn the_doctor_tells_of_a_child_that_waits_for_its_parents_place() {
    let folder = tempfile::tempdir().unwrap();
    let engine = Engine::open(folder.path().join("flux.db")).await.unwrap();
    engine.queue("imports").concurrency(1).await.unwrap();
    let worker = engine.worker().spawn();
    let start = import_book.on(&engine).start(()).execution_id("book");
    let book = start.await.unwrap();
    let is_told = async || match engine.get("page").await {
        Ok(page) => page.obstacle().map(flux::Obstacle::kind) == Some(ObstacleKind::Standoff),
        Err(_) => false,
    };
    while !is_told().await {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let findings: Value = serde_json::from_str(&flux(&folder, "doctor --json", 1)).unwrap();
    let wrong: Vec<_> = findings
        .as_array()
        .unwrap()
        .iter()
        .filter(|finding| finding["state"] == "wrong")
        .collect();
    assert_eq!(wrong.len(), 1, "{findings}");
    let message = wrong[0]["message"].as_str().unwrap();
    assert!(
        message.contains("page of `import_page` cannot continue"),
        "{message}"
    );
    assert!(
        message.contains("queue `imports` runs 1 at once"),
        "{message}"
    );
    let listed = flux(&folder, "list --status pending", 0);
    assert!(
        listed.contains("cannot continue: queue `imports`"),
        "{listed}"
    );

    engine.queue("imports").concurrency(2).await.unwrap();
    assert!(book.wait().await.unwrap().has_succeeded());
    flux(&folder, "doctor", 0);
    worker.stop().await;
}
