//! What others write is noticed, what we write ourselves is not.

use std::time::{Duration, Instant};

use flux_core::id::Epoch;
use flux_core::store::contract::given::{create, extend, signal};
use futures::FutureExt as _;
use tokio::runtime::Builder;
use tokio::time::timeout;

use super::child::Other;
use super::given::{folder, open, runtime};

/// Later than promised, so that a busy machine does not fail the test.
const SOON: Duration = Duration::from_secs(20);

#[test]
fn a_post_by_another_process_is_noticed() {
    let folder = folder();
    let file = folder.path().join("flux.db");
    let store = open(&file);
    runtime().block_on(async {
        let guard = store.join().await.unwrap();
        let key = create(&store, "a", guard.id()).await;
        for _ in 0..3 {
            let mut other = Other::start("post", &file);
            assert_eq!(other.hear().as_deref(), Some("ready"));
            let known = store.inbox(key).await.unwrap().len();
            let mut news = store.changed();
            other.tell();
            assert_eq!(other.hear().as_deref(), Some("posted"));
            let began = Instant::now();
            // It may be news that the other has opened the file.
            loop {
                timeout(SOON, news).await.expect("news arrive");
                news = store.changed();
                if store.inbox(key).await.unwrap().len() > known {
                    break;
                }
            }
            let late = began.elapsed();
            println!("noticed after {late:?}");
            assert!(late < SOON);
        }
    });
}

#[test]
fn a_post_by_another_store_is_noticed_while_we_write() {
    let folder = folder();
    let file = folder.path().join("flux.db");
    let (store, other) = (open(&file), open(&file));
    runtime().block_on(async {
        let guard = store.join().await.unwrap();
        let key = create(&store, "a", guard.id()).await;
        let busy = {
            let store = std::sync::Arc::clone(&store);
            tokio::spawn(async move {
                for seq in 2.. {
                    extend(&store, key, Epoch(1), seq, seq).await.unwrap();
                    if !store.inbox(key).await.unwrap().is_empty() {
                        break;
                    }
                }
            })
        };
        let mut news = store.changed();
        other.post(&"a".into(), signal("x", "1")).await.unwrap();
        let began = Instant::now();
        loop {
            timeout(SOON, news).await.expect("news arrive");
            news = store.changed();
            if !store.inbox(key).await.unwrap().is_empty() {
                break;
            }
        }
        assert!(began.elapsed() < SOON);
        busy.await.unwrap();
    });
}

/// PITFALL: a client hung up while its answer to a pause was being written: the answer was in the inbox, and the workers of
/// this process were not told.
#[test]
fn a_post_whose_caller_has_left_is_news() {
    let folder = folder();
    let store = open(folder.path().join("flux.db"));
    // On a runtime of one thread a write is left to the writer's thread, so that the caller waits for it.
    let runtime = Builder::new_current_thread().enable_all().build();
    runtime.unwrap().block_on(async {
        let guard = store.join().await.unwrap();
        let key = create(&store, "a", guard.id()).await;
        let mut news = store.changed();
        for posts in 1..=20 {
            drop(store.post(&"a".into(), signal("x", "1")).now_or_never());
            loop {
                timeout(SOON, news).await.expect("news arrive");
                news = store.changed();
                if store.inbox(key).await.unwrap().len() == posts {
                    break;
                }
            }
        }
    });
}

#[test]
fn our_own_commits_are_no_news() {
    let folder = folder();
    let store = open(folder.path().join("flux.db"));
    runtime().block_on(async {
        let guard = store.join().await.unwrap();
        let key = create(&store, "a", guard.id()).await;
        let news = store.changed();
        let commits = async {
            for seq in 2.. {
                extend(&store, key, Epoch(1), seq, seq).await.unwrap();
            }
        };
        // Long enough for the file to be looked at several times.
        let both = async {
            tokio::select! { () = news => (), () = commits => () }
        };
        assert!(timeout(Duration::from_millis(400), both).await.is_err());
    });
}
