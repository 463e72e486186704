//! Sudden ends: of the process, and of the log.

use std::fs;

use flux_core::id::Epoch;
use flux_core::store::Filter;
use flux_core::store::contract::given::{events, extend, history};
use flux_store::Durability;
use rusqlite::Connection;

use super::child::Other;
use super::given::{folder, open, runtime};

#[test]
fn what_was_acknowledged_survives_kill_9() {
    let runtime = runtime();
    for durability in [Durability::Full, Durability::Relaxed] {
        let mut acknowledged = 0;
        for round in 0..8_usize {
            let folder = folder();
            let file = folder.path().join("flux.db");
            let mut other = Other::start_with("commit until killed", &file, durability);
            // Kill it after a different number of acknowledgements each time, in mid-commit.
            let mut last = 1;
            for _ in 0..=round * 97 {
                last = other
                    .hear()
                    .expect("it goes on until killed")
                    .parse()
                    .unwrap();
            }
            other.kill();
            while let Some(said) = other.hear() {
                last = said.parse().unwrap_or(last);
            }
            acknowledged += last;
            let store = open(&file);
            runtime.block_on(async {
                let heir = store.join().await.unwrap();
                let row = store.claim(&"a".into(), heir.id()).await.unwrap();
                let found = history(&store, row.key).await;
                let end = u32::try_from(found.len()).unwrap();
                assert!(
                    end >= last,
                    "{durability:?}: acknowledged {last}, found {end}"
                );
                assert_eq!(end % 2, 1, "half a commit");
                assert_eq!(found, events(1, end));
                extend(&store, row.key, row.epoch, end + 1, end + 1)
                    .await
                    .unwrap();
            });
        }
        println!("{durability:?}: {acknowledged} acknowledged events, none lost");
    }
}

/// A log that ends anywhere, as after a power cut, opens to a prefix of the commits.
#[test]
fn a_log_cut_anywhere_opens_to_a_prefix() {
    let seed = fastrand::u64(..);
    println!("seed {seed}");
    let mut random = fastrand::Rng::with_seed(seed);
    let original = folder();
    let mut other = Other::start("commit and die", &original.path().join("flux.db"));
    assert!(!other.finish());
    let (file, log) = (
        original.path().join("flux.db"),
        original.path().join("flux.db-wal"),
    );
    let length = fs::metadata(&log).unwrap().len();
    let runtime = runtime();
    for _ in 0..60 {
        let copy = folder();
        let (copied, copied_log) = (copy.path().join("flux.db"), copy.path().join("flux.db-wal"));
        fs::copy(&file, &copied).unwrap();
        fs::copy(&log, &copied_log).unwrap();
        let cut = random.u64(..length);
        fs::OpenOptions::new()
            .write(true)
            .open(&copied_log)
            .unwrap()
            .set_len(cut)
            .unwrap();

        let store = open(&copied);
        runtime.block_on(async {
            for row in store.executions(Filter::default()).await.unwrap() {
                let found = history(&store, row.key).await;
                let end = u32::try_from(found.len()).unwrap();
                assert_eq!(end % 2, 1, "half a commit after a cut at {cut}");
                assert_eq!(found, events(1, end));
                assert_eq!(row.epoch, Epoch(1));
                extend(&store, row.key, Epoch(1), end + 1, end + 1)
                    .await
                    .unwrap();
            }
        });
        drop(store);
        let connection = Connection::open(&copied).unwrap();
        let sound: String = connection
            .query_row("PRAGMA integrity_check", [], |row| row.get(0))
            .unwrap();
        assert_eq!(sound, "ok");
    }
}
