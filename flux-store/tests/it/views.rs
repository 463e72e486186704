//! The views say in words what the tables say in numbers.

use flux_core::event::{Event, EventKind};
use flux_core::execution::Status;
use flux_core::id::Epoch;
use flux_core::store::contract::given::{
    append, at, change, create, creation, event, json, new, set,
};
use flux_core::store::{Change, Commit, NewExecution, WorkflowDescription};
use rusqlite::Connection;

use super::given::{folder, open, runtime};

#[test]
fn every_kind_and_every_status_has_its_word() {
    let folder = folder();
    let file = folder.path().join("flux.db");
    let store = open(&file);
    runtime().block_on(async {
        let guard = store.join().await.unwrap();
        for status in Status::ALL {
            let key = create(&store, &format!("e{status}"), guard.id()).await;
            set(
                &store,
                key,
                Change {
                    wake_at: Some(at(1)),
                    ..change(status)
                },
            )
            .await;
        }
        let key = create(&store, "kinds", guard.id()).await;
        let events = EventKind::ALL
            .iter()
            .zip(2..)
            .map(|(kind, seq)| Event {
                kind: *kind,
                ..event(seq)
            })
            .collect();
        store
            .commit(Commit {
                events,
                ..append(key, Epoch(1), 2, 2)
            })
            .await
            .unwrap();
    });
    let connection = Connection::open(&file).unwrap();
    let mut select = connection
        .prepare("SELECT id, status, created_at, wake_at FROM executions_view WHERE id LIKE 'e%'")
        .unwrap();
    let rows: Vec<(String, String, String, String)> = select
        .query_map([], |row| {
            Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?))
        })
        .unwrap()
        .collect::<Result<_, _>>()
        .unwrap();
    assert_eq!(rows.len(), Status::ALL.len());
    for (id, status, created_at, wake_at) in rows {
        assert_eq!(id, format!("e{status}"));
        assert_eq!(created_at, at(0).to_string());
        assert_eq!(wake_at, at(1).to_string());
    }
    let mut select = connection
        .prepare("SELECT seq, kind, at FROM events_view WHERE execution = 'kinds'")
        .unwrap();
    let rows: Vec<(u32, String, String)> = select
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
        .unwrap()
        .collect::<Result<_, _>>()
        .unwrap();
    assert_eq!(rows.len(), 1 + EventKind::ALL.len());
    for (seq, kind, when) in &rows[1..] {
        assert_eq!(kind, EventKind::ALL[*seq as usize - 2].as_str());
        assert_eq!(*when, at(i64::from(*seq)).to_string());
    }
}

/// No listing, claim or page reads a table from end to end.
#[test]
fn every_query_is_served_by_an_index() {
    let folder = folder();
    let file = folder.path().join("flux.db");
    drop(open(&file));
    let connection = Connection::open(&file).unwrap();
    for query in [
        "SELECT * FROM flux_executions WHERE status = 2 AND eid < 9 ORDER BY eid DESC LIMIT 5",
        "SELECT * FROM flux_executions WHERE workflow = 'w' AND status = 2 AND eid < 9 ORDER BY eid DESC LIMIT 5",
        "SELECT * FROM flux_executions WHERE parent = 'p' AND eid < 9 ORDER BY eid DESC",
        "SELECT * FROM flux_executions WHERE owner = ?1 AND owner IS NOT NULL AND status < 4 ORDER BY eid LIMIT 5",
        "SELECT min(owner) FROM flux_executions INDEXED BY flux_executions_by_owner \
         WHERE owner IS NOT NULL AND status < 4 AND owner > 5",
        "SELECT * FROM flux_executions WHERE id = 'a'",
        "SELECT * FROM flux_inbox WHERE eid = 5 ORDER BY id",
        "SELECT * FROM events_view WHERE execution = 'a' ORDER BY seq",
        "SELECT * FROM executions_view WHERE id = 'a'",
    ] {
        let mut explain = connection
            .prepare(&format!("EXPLAIN QUERY PLAN {query}"))
            .unwrap();
        let params = explain.parameter_count();
        let plan: Vec<String> = explain
            .query_map(
                rusqlite::params_from_iter(vec![None::<i64>; params]),
                |row| row.get(3),
            )
            .unwrap()
            .collect::<Result<_, _>>()
            .unwrap();
        assert!(
            plan.iter().all(|step| !step.contains("SCAN")),
            "{query}\n{plan:?}"
        );
        println!("{plan:?}");
    }
}

/// The page about the views shows only what runs.
#[test]
fn every_example_of_the_page_runs() {
    let page = include_str!("../../../docs/sql.md");
    let folder = folder();
    let file = folder.path().join("flux.db");
    let store = open(&file);
    runtime().block_on(async {
        let guard = store.join().await.unwrap();
        let key = create(&store, "order-17", guard.id()).await;
        let events = vec![
            Event {
                kind: EventKind::TaskStarted,
                ..event(2)
            },
            Event {
                kind: EventKind::TaskCompleted,
                refers: Some(event(2).seq),
                payload: Some(json(r#"{"total":42}"#)),
                ..event(3)
            },
            Event {
                kind: EventKind::WorkflowFailed,
                ..event(4)
            },
        ];
        let failed = Some(change(Status::Failed));
        store
            .commit(Commit {
                events,
                change: failed,
                ..append(key, Epoch(1), 2, 2)
            })
            .await
            .unwrap();
        let child = NewExecution {
            parent: Some("order-17".into()),
            ..new("child", guard.id())
        };
        let child = store.commit(creation(child)).await.unwrap().key;
        set(
            &store,
            child,
            Change {
                wake_at: Some(at(5)),
                ..change(Status::Running)
            },
        )
        .await;
        let described = WorkflowDescription {
            name: "order".into(),
            version: 1,
            described: json(r#"{"queue":"orders"}"#),
            seen_at: at(6),
        };
        store.describe_workflows(vec![described]).await.unwrap();
    });
    let connection = Connection::open(&file).unwrap();
    let examples: Vec<&str> = page
        .split("```sql\n")
        .skip(1)
        .map(|rest| rest.split("```").next().unwrap())
        .collect();
    assert_eq!(examples.len(), 9);
    for example in examples {
        let mut select = connection.prepare(example).unwrap();
        let columns = select.column_count();
        let rows: Vec<Vec<rusqlite::types::Value>> = select
            .query_map([], |row| {
                (0..columns).map(|column| row.get(column)).collect()
            })
            .unwrap()
            .collect::<Result<_, _>>()
            .unwrap();
        println!("{example}{rows:?}\n");
        assert!(!rows.is_empty(), "an example that shows nothing: {example}");
    }
}
