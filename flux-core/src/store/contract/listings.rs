//! Listings: newest first, in pages, filtered.

use std::sync::Arc;

use super::given::{change, create, creation, new, set};
use crate::execution::Status;
use crate::id::ExecutionKey;
use crate::store::{Filter, NewExecution, Store};

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
