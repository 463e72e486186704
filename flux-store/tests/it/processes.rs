//! Several processes on one file.

use flux_core::id::{Epoch, ExecutionId};
use flux_core::store::contract::given::{at, create, events, extend, history, record};
use flux_core::store::{ClaimError, CommitError, Filter};
use flux_store::SqliteStore;

use super::child::Other;
use super::given::{folder, open, runtime};

#[test]
fn several_open_one_new_file_at_once() {
    for _ in 0..5 {
        let folder = folder();
        let file = folder.path().join("deep/er/new.db");
        let mut others: Vec<Other> = (0..6).map(|_| Other::start("open", &file)).collect();
        for other in &mut others {
            assert_eq!(other.hear().as_deref(), Some("ready"));
        }
        others.iter_mut().for_each(Other::tell);
        for other in &mut others {
            assert!(other.finish(), "a child failed to open the file");
        }
        let found = runtime()
            .block_on(open(&file).executions(Filter::default()))
            .unwrap();
        assert_eq!(found.len(), 6);
    }
}

/// SQLite's lock is handed to nobody: a process that has just written may take it again before one that waits wakes up.
#[test]
fn a_writer_gets_its_turn_beside_one_that_never_stops() {
    let folder = folder();
    let file = folder.path().join("flux.db");
    let mut tireless = Other::start("write until told", &file);
    let mut other = Other::start("write", &file);
    for writer in [&mut tireless, &mut other] {
        assert_eq!(writer.hear().as_deref(), Some("ready"));
    }
    tireless.tell();
    other.tell();
    assert!(other.finish());
    tireless.tell();
    let last: u32 = tireless.hear().unwrap().parse().unwrap();
    assert!(tireless.finish());
    let store = open(&file);
    runtime().block_on(async {
        for (writer, last) in [(other, 400), (tireless, last)] {
            let key = record(&store, &format!("p{}", writer.id())).await.key;
            assert_eq!(history(&store, key).await, events(1, last));
        }
    });
}

#[test]
fn a_killed_owner_is_replaced_at_once() {
    let folder = folder();
    let file = folder.path().join("flux.db");
    let mut owner = Other::start("own", &file);
    assert_eq!(owner.hear().as_deref(), Some("ready"));
    let store = open(&file);
    runtime().block_on(async {
        let heir = store.join().await.unwrap();
        let id = ExecutionId::from("a");
        match store.claim(&id, heir.id()).await {
            Err(ClaimError::Held { by }) => {
                assert_eq!(by, format!("process {} on this machine", owner.id()));
            }
            claimed => panic!("not held: {claimed:?}"),
        }
        assert!(store.orphans(at(0), 10).await.unwrap().is_empty());
        owner.kill();
        assert_eq!(store.orphans(at(0), 10).await.unwrap().len(), 1);
        let row = store.claim(&id, heir.id()).await.unwrap();
        assert_eq!(row.epoch, Epoch(2));
        let stale = extend(&store, row.key, Epoch(1), 2, 2).await;
        assert!(matches!(stale, Err(CommitError::Fenced)));
    });
}

#[test]
fn two_stores_of_one_process_are_two_owners() {
    let folder = folder();
    let file = folder.path().join("flux.db");
    let roundabout = folder.path().join("x/../flux.db");
    std::fs::create_dir(folder.path().join("x")).unwrap();
    let (one, two) = (open(&file), open(&roundabout));
    assert_eq!(one.describe(), two.describe());
    runtime().block_on(async {
        let (owner, other) = (one.join().await.unwrap(), two.join().await.unwrap());
        create(&one, "a", owner.id()).await;
        let id = ExecutionId::from("a");
        match two.claim(&id, other.id()).await {
            Err(ClaimError::Held { by }) => assert_eq!(by, "another engine of this process"),
            claimed => panic!("not held: {claimed:?}"),
        }
        // A third one joins and sweeps: it takes nobody living for dead.
        drop(one.join().await.unwrap());
        assert!(matches!(
            two.claim(&id, other.id()).await,
            Err(ClaimError::Held { .. })
        ));
        drop(owner);
        two.claim(&id, other.id()).await.unwrap();
    });
}

#[test]
fn nothing_is_left_beside_the_file_when_all_have_gone() {
    let folder = folder();
    let file = folder.path().join("flux.db");
    let store = SqliteStore::open_blocking(&file).unwrap();
    let guard = runtime()
        .block_on(flux_core::store::Store::join(&store))
        .unwrap();
    drop((guard, store));
    let left: Vec<_> = std::fs::read_dir(folder.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    assert_eq!(left, ["flux.db"]);
}
