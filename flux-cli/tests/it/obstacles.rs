//! What keeps an execution from continuing: told by `list`, `show`, `status` and `doctor`.

use flux::Payload;
use flux::sqlite::SqliteStore;
use flux::store::Store;
use serde_json::json;

use crate::support::{Folder, golden, id};

/// Writes down that a process could not continue an execution, as that process does.
async fn meet(folder: &Folder, word: &str, obstacle: serde_json::Value) {
    let store = SqliteStore::open(folder.path("flux.db")).await.unwrap();
    let row = store.execution(&id(word)).await.unwrap().unwrap();
    let obstacle = Payload::encode(&obstacle).unwrap();
    store
        .note_obstacle(row.key, row.epoch, obstacle)
        .await
        .unwrap();
}

/// As after a deploy of the wrong code, an hour before the store is looked at.
async fn after_a_bad_deploy() -> Folder {
    let folder = Folder::seeded();
    let an_hour_ago = 1_709_550_000_000_000_i64;
    let message = "the code of workflow `review_order` no longer matches the history of this execution: event 2 has \
                   TASK_STARTED `reserve`, but the code asked for task `book`";
    let diverged = json!({"kind": "divergence", "message": message, "event": 2, "at": an_hour_ago, "worker": 3});
    meet(&folder, "unpaid", diverged).await;
    let lacks = "task `fetch` needs `State<Bank>`, and the engine has none: add `.state(value)` to its builder";
    let lacks = json!({"kind": "missing_state", "message": lacks, "at": an_hour_ago, "worker": 3});
    meet(&folder, "retrying", lacks).await;
    folder
}

/// "waits for signal `paid`", it said, though the signal was in.
#[tokio::test]
async fn what_keeps_an_execution_from_continuing_is_told() {
    let folder = after_a_bad_deploy().await;
    golden!(folder.transcript(&[
        "flux list --status running --workflow review_order",
        "flux show unpaid",
        "shop show retrying",
        "flux status unpaid",
    ]));
    let json = folder.run("flux status unpaid --json").exits(0).json();
    assert_eq!(json["obstacle"]["kind"], "divergence");
    assert_eq!(json["obstacle"]["event"], 2);
    assert_eq!(json["obstacle"]["at"], "2024-03-04T11:00:00.000000Z");
    assert_eq!(json["obstacle"]["worker"], 3);
}

/// "good" for a minute, then unsure.
#[tokio::test]
async fn the_doctor_tells_what_cannot_continue() {
    let folder = after_a_bad_deploy().await;
    golden!(folder.run("flux doctor").exits(1).transcript());
}

#[test]
fn what_waits_for_its_turn_says_for_whom() {
    golden!(Folder::seeded().transcript(&["flux list --queue letters", "flux show stuck"]));
    let json = Folder::seeded()
        .run("flux show stuck --json")
        .exits(0)
        .json();
    assert_eq!(json["obstacle"]["kind"], "limit");
}
