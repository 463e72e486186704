//! Published values: the latest wins.

use std::sync::Arc;

use super::given::{commit, create, json};
use crate::id::Epoch;
use crate::store::{Commit, Store, Target};

/// Each name has the value published last, also within one commit, also a long one.
pub async fn the_latest_value_wins(store: Arc<dyn Store>) {
    let guard = store.join().await.unwrap();
    let (a, b) = (
        create(&store, "a", guard.id()).await,
        create(&store, "b", guard.id()).await,
    );
    let publish = async |key, values: &[(&str, &str)]| {
        let published = values
            .iter()
            .map(|(name, value)| ((*name).into(), json(value)))
            .collect();
        let target = Target::Existing {
            key,
            epoch: Epoch(1),
        };
        store
            .commit(Commit {
                published,
                ..commit(target)
            })
            .await
            .unwrap();
    };
    let long = format!("\"{}\"", "x".repeat(100_000));
    publish(a, &[("progress", "1"), ("total", "9"), ("progress", "2")]).await;
    assert_eq!(
        store.published(a, "progress").await.unwrap(),
        Some(json("2"))
    );
    publish(a, &[("progress", &long)]).await;
    publish(b, &[("progress", "3")]).await;
    assert_eq!(
        store.published(a, "progress").await.unwrap(),
        Some(json(&long))
    );
    assert_eq!(store.published(a, "total").await.unwrap(), Some(json("9")));
    assert_eq!(
        store.published(b, "progress").await.unwrap(),
        Some(json("3"))
    );
    assert_eq!(store.published(b, "total").await.unwrap(), None);
}
