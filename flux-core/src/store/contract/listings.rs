//! Listings: newest first, in pages, filtered.

use std::sync::Arc;

use super::given::{change, create, creation, hour, new, set};
use crate::id::ExecutionKey;
use crate::status::Status;
use crate::store::{Filter, NewExecution, Placement, Store, WorkflowCount};

async fn list(store: &Arc<dyn Store>, filter: Filter) -> Vec<String> {
    let found = store.executions(filter).await.unwrap();
    found.iter().map(|record| record.id.to_string()).collect()
}

/// The default is the newest fifty.
pub async fn the_newest_comes_first(store: Arc<dyn Store>) {
    let guard = store.join().await.unwrap();
    assert_eq!(list(&store, Filter::default()).await, [""; 0]);
    for i in 0..60 {
        create(&store, &format!("e{i}"), guard.id()).await;
    }
    let newest: Vec<String> = (10..60).rev().map(|i| format!("e{i}")).collect();
    assert_eq!(list(&store, Filter::default()).await, newest);
    assert_eq!(
        list(
            &store,
            Filter {
                limit: 0,
                ..Filter::default()
            }
        )
        .await,
        [""; 0]
    );
}

/// `before` is the last key of the page before; together the pages are the list.
pub async fn pages_continue_where_the_last_one_ended(store: Arc<dyn Store>) {
    let guard = store.join().await.unwrap();
    for i in 0..25 {
        let key = create(&store, &format!("e{i}"), guard.id()).await;
        if i % 2 == 0 {
            set(&store, key, change(Status::Completed)).await;
        }
    }
    for statuses in [
        vec![],
        vec![Status::Running],
        vec![Status::Running, Status::Completed],
    ] {
        let all = list(
            &store,
            Filter {
                statuses: statuses.clone(),
                ..Filter::default()
            },
        )
        .await;
        let (mut pages, mut before) = (Vec::new(), None::<ExecutionKey>);
        loop {
            let filter = Filter {
                statuses: statuses.clone(),
                before,
                limit: 4,
                ..Filter::default()
            };
            let page = store.executions(filter).await.unwrap();
            let Some(last) = page.last() else { break };
            before = Some(last.key);
            pages.extend(page.iter().map(|record| record.id.to_string()));
        }
        assert_eq!(pages, all);
    }
}

/// Statuses, workflow, parent: all that are given must hold.
pub async fn filters_are_combined(store: Arc<dyn Store>) {
    let guard = store.join().await.unwrap();
    for (i, status) in Status::ALL.into_iter().cycle().take(70).enumerate() {
        let given = NewExecution {
            workflow: ["order", "refund"][i % 2].into(),
            parent: (i % 3 == 0).then(|| "mother".into()),
            ..new(&format!("e{i}"), guard.id())
        };
        let key = store.commit(creation(given)).await.unwrap().key;
        set(&store, key, change(status)).await;
    }
    for filter in combinations() {
        let wanted: Vec<String> = (0..70)
            .rev()
            .filter(|i| filter.statuses.is_empty() || filter.statuses.contains(&Status::ALL[i % 7]))
            .filter(|i| {
                filter
                    .workflow
                    .as_deref()
                    .is_none_or(|name| name == ["order", "refund"][i % 2])
            })
            .filter(|i| {
                filter
                    .parent
                    .as_ref()
                    .is_none_or(|name| *name == "mother" && i % 3 == 0)
            })
            .take(5)
            .map(|i| format!("e{i}"))
            .collect();
        assert_eq!(list(&store, filter.clone()).await, wanted, "{filter:?}");
    }
}

fn combinations() -> Vec<Filter> {
    let mut filters = Vec::new();
    for statuses in [
        vec![],
        vec![Status::Failed],
        vec![Status::Failed, Status::Paused, Status::Failed],
    ] {
        for workflow in [None, Some("order"), Some("nothing")] {
            for parent in [None, Some("mother"), Some("nobody")] {
                filters.push(Filter {
                    statuses: statuses.clone(),
                    workflow: workflow.map(Into::into),
                    parent: parent.map(Into::into),
                    limit: 5,
                    ..Filter::default()
                });
            }
        }
    }
    filters
}

/// Queue, schedule, tag, and a moment they were created at or after: alone and with the others.
pub async fn placements_and_moments_are_filters_too(store: Arc<dyn Store>) {
    let guard = store.join().await.unwrap();
    let pick = |i: usize, names: [&'static str; 3]| names.get(i % 4).copied();
    for (i, status) in Status::ALL.into_iter().cycle().take(84).enumerate() {
        let given = NewExecution {
            workflow: ["order", "refund"][i % 2].into(),
            created_at: hour(i64::try_from(i / 3).unwrap()),
            placement: Placement {
                queue: pick(i, ["mail", "post", "sms"]).map(Into::into),
                schedule: pick(i / 2, ["daily", "hourly", "x"]).map(Into::into),
                tags: ["odd", "third"]
                    .into_iter()
                    .filter(|tag| (*tag == "odd" && i % 2 == 1) || (*tag == "third" && i % 3 == 0))
                    .map(Into::into)
                    .collect(),
                ..Placement::default()
            },
            ..new(&format!("e{i}"), guard.id())
        };
        let key = store.commit(creation(given)).await.unwrap().key;
        set(&store, key, change(status)).await;
    }
    let all = store
        .executions(Filter {
            limit: 100,
            ..Filter::default()
        })
        .await
        .unwrap();
    assert_eq!(all.len(), 84);
    let mut seen = 0;
    for filter in placed() {
        let wanted: Vec<String> = all
            .iter()
            .filter(|record| {
                let placement = &record.placement;
                (filter.statuses.is_empty() || filter.statuses.contains(&record.status))
                    && filter.workflow.iter().all(|it| *it == record.workflow)
                    && filter
                        .queue
                        .iter()
                        .all(|it| Some(it) == placement.queue.as_ref())
                    && filter
                        .schedule
                        .iter()
                        .all(|it| Some(it) == placement.schedule.as_ref())
                    && filter.tag.iter().all(|it| placement.tags.contains(it))
                    && filter.since.iter().all(|it| record.created_at >= *it)
            })
            .take(filter.limit)
            .map(|record| record.id.to_string())
            .collect();
        seen += wanted.len();
        assert_eq!(list(&store, filter.clone()).await, wanted, "{filter:?}");
    }
    assert!(seen > 100);
}

fn placed() -> Vec<Filter> {
    let mut filters = Vec::new();
    for statuses in [vec![], vec![Status::Running, Status::Completed]] {
        for workflow in [None, Some("order")] {
            for queue in [None, Some("mail"), Some("nothing")] {
                for schedule in [None, Some("daily")] {
                    for tag in [None, Some("odd"), Some("third")] {
                        for since in [None, Some(hour(10)), Some(hour(99))] {
                            filters.push(Filter {
                                statuses: statuses.clone(),
                                workflow: workflow.map(Into::into),
                                queue: queue.map(Into::into),
                                schedule: schedule.map(Into::into),
                                tag: tag.map(Into::into),
                                since,
                                limit: 7,
                                ..Filter::default()
                            });
                        }
                    }
                }
            }
        }
    }
    filters
}

/// By its beginning or its end, newest first, never more than asked for.
pub async fn a_piece_of_an_id_finds_it(store: Arc<dyn Store>) {
    let guard = store.join().await.unwrap();
    for id in ["cab", "abba", "b", "bab", "abab", "xabx"] {
        create(&store, id, guard.id()).await;
    }
    for (fragment, limit, wanted) in [
        ("ab", 9, &["abab", "bab", "abba", "cab"][..]),
        ("ab", 2, &["abab", "bab"]),
        ("ab", 0, &[]),
        ("a", 9, &["abab", "abba"]),
        ("ba", 9, &["bab", "abba"]),
        ("xabx.1", 9, &[]),
        ("", 9, &[]),
    ] {
        let found = store.matching(fragment, limit).await.unwrap();
        assert_eq!(found, wanted, "`{fragment}`, at most {limit}");
    }
}

/// Nothing in it is a wildcard, and letters are what they are.
pub async fn a_piece_of_an_id_is_taken_as_it_stands(store: Arc<dyn Store>) {
    let guard = store.join().await.unwrap();
    let ids = [
        "a%c",
        "abc",
        "a_c",
        "a*c",
        "a[b]c",
        "aäc",
        "aÄc",
        "\u{10FFFF}",
        "A'c",
        "a\\c",
    ];
    for id in ids {
        create(&store, &format!("<{id}>"), guard.id()).await;
    }
    for id in ids {
        for fragment in [format!("<{id}"), format!("{id}>")] {
            let found = store.matching(&fragment, 9).await.unwrap();
            assert_eq!(found, [format!("<{id}>").as_str()], "`{fragment}`");
        }
    }
    for nothing in ["<%", "%>", "<a?", "*>", "<AB", "BC>", "<\u{10FFFE}"] {
        assert_eq!(store.matching(nothing, 9).await.unwrap(), [""; 0]);
    }
}

/// Whatever begins or ends with it.
pub async fn an_id_in_full_is_found_alone(store: Arc<dyn Store>) {
    let guard = store.join().await.unwrap();
    for id in ["order", "order.1", "re-order"] {
        create(&store, id, guard.id()).await;
    }
    assert_eq!(store.matching("order", 9).await.unwrap(), ["order"]);
    assert_eq!(store.matching("order.1", 9).await.unwrap(), ["order.1"]);
    assert_eq!(
        store.matching("orde", 9).await.unwrap(),
        ["order.1", "order"]
    );
}

/// By name, then by status; what there is none of is left out.
pub async fn each_workflow_is_counted_by_status(store: Arc<dyn Store>) {
    let guard = store.join().await.unwrap();
    assert_eq!(store.workflow_counts().await.unwrap(), []);
    for (i, status) in Status::ALL.into_iter().cycle().take(12).enumerate() {
        let given = NewExecution {
            workflow: ["refund", "order"][i % 2].into(),
            ..new(&format!("e{i}"), guard.id())
        };
        let key = store.commit(creation(given)).await.unwrap().key;
        if status != Status::Pending {
            set(&store, key, change(status)).await;
        }
    }
    let count = |workflow: &str, status, count| WorkflowCount {
        workflow: workflow.into(),
        status,
        count,
    };
    let wanted = [
        count("order", Status::Running, 2),
        count("order", Status::Paused, 1),
        count("order", Status::Completed, 1),
        count("order", Status::Failed, 1),
        count("order", Status::Cancelled, 1),
        count("refund", Status::Running, 2),
        count("refund", Status::Paused, 1),
        count("refund", Status::Completed, 1),
        count("refund", Status::Failed, 1),
        count("refund", Status::Terminated, 1),
    ];
    assert_eq!(store.workflow_counts().await.unwrap(), wanted);
}
