//! `show --tree`, of children that have children, and so on.

use std::path::Path;

use flux::clock::Timestamp;
use flux::sqlite::SqliteStore;
use flux::store::{Commit, NewChild, NewExecution, Placement, Store, Target};
use flux::{Event, EventKind, EventSeq, ExecutionId};

use crate::support::Folder;

fn id(depth: u32) -> ExecutionId {
    format!("level-{depth}").into()
}

fn row(depth: u32) -> NewChild {
    let at = Timestamp::from_micros(1_700_000_000_000_000);
    NewChild {
        new: NewExecution {
            id: id(depth),
            workflow: "dig".into(),
            version: 1,
            created_at: at,
            parent: depth.checked_sub(1).map(id),
            owner: None,
            placement: Placement::default(),
        },
        start: Event {
            seq: EventSeq::FIRST,
            at,
            kind: EventKind::WorkflowQueued,
            refers: None,
            name: Some("dig".into()),
            payload: None,
            meta: None,
        },
    }
}

/// Each the child of the one before.
fn nested(file: &Path, levels: u32) {
    let store = SqliteStore::open_blocking(file).unwrap();
    let root = row(0);
    let commit = Commit {
        events: vec![root.start],
        children: (1..=levels).map(row).collect(),
        ..Commit::to(Target::New(Box::new(root.new)))
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().build().unwrap();
    runtime.block_on(store.commit(commit)).unwrap();
}

/// PITFALL: a tree of some thousand levels ended the process.
#[test]
fn a_tree_that_is_very_deep_is_cut_and_says_where_it_goes_on() {
    let folder = Folder::empty();
    nested(&folder.path("flux.db"), 3000);
    let text = folder.run("flux show level-0 --tree");
    assert_eq!(text.code, Some(0), "{}", text.stderr);
    assert!(text.stdout.contains("level-40"), "{}", text.stdout);
    assert!(!text.stdout.contains("level-41"), "{}", text.stdout);
    let deeper = "deeper: `flux show level-40 --tree`";
    assert!(text.stdout.contains(deeper), "{}", text.stdout);

    let json = folder.run("flux show level-0 --tree --json");
    let value: serde_json::Value = serde_json::from_str(&json.stdout).unwrap();
    let mut level = &value;
    for depth in 1..=40 {
        level = &level["children"][0];
        assert_eq!(level["id"], format!("level-{depth}"));
    }
    assert!(level["children"].is_null());

    let rest = folder.run("flux show level-2980 --tree");
    assert!(rest.stdout.contains("level-3000"), "{}", rest.stdout);
    assert!(!rest.stdout.contains("deeper"), "{}", rest.stdout);
}
