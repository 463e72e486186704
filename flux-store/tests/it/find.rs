//! Finding executions by a piece of their id, where there are many.

use std::path::Path;

use rusqlite::Connection;

use super::given::{folder, open, runtime};

/// Writes executions of these ids, in this order, without their histories.
fn fill(file: &Path, ids: &[String]) {
    let mut connection = Connection::open(file).unwrap();
    let transaction = connection.transaction().unwrap();
    for id in ids {
        transaction
            .prepare_cached(
                "INSERT INTO flux_executions \
                 (id, workflow, version, format, status, attempt, created_at, base, epoch) \
                 VALUES (?1, 'order', 1, 1, 4, 1, 0, 1, 1)",
            )
            .unwrap()
            .execute([id])
            .unwrap();
    }
    transaction.commit().unwrap();
}

/// What is to be found.
fn naive<'a>(ids: &'a [String], fragment: &str, limit: usize) -> Vec<&'a str> {
    let newest_first = ids.iter().rev().map(String::as_str);
    newest_first
        .filter(|id| id.starts_with(fragment) || id.ends_with(fragment))
        .take(limit)
        .collect()
}

#[test]
fn among_many_the_same_is_found_as_by_looking_at_each() {
    let folder = folder();
    let file = folder.path().join("flux.db");
    let store = open(&file);
    // Ids that grow with time, ids that do not, and some of every sort of letter.
    let mut random = fastrand::Rng::with_seed(7);
    let ids: Vec<String> = (0..50_000)
        .map(|i| match i % 5 {
            0..3 => format!("{i:08x}-{:04x}", random.u16(..)),
            3 => format!("{:x}.{i}", random.u16(..)),
            _ => format!("ä%_{}\u{10FFFF}{i}", random.char(..)),
        })
        .collect();
    fill(&file, &ids);
    let runtime = runtime();
    for fragment in [
        "0",
        "00000",
        "000001",
        "7",
        "77",
        "-7777",
        ".8",
        ".1003",
        "ä%",
        "\u{10FFFF}",
        "%",
        "\u{10FFFF}4",
        "x",
        "fff",
        "4",
        "\u{10FFFF}19",
        "0000",
        "_",
    ] {
        for limit in [1, 3, 500, 100_000] {
            let found = runtime.block_on(store.matching(fragment, limit)).unwrap();
            assert_eq!(found, naive(&ids, fragment, limit), "`{fragment}`, {limit}");
        }
    }
    for id in [&ids[3], &ids[40_000]] {
        let found = runtime.block_on(store.matching(id, 9)).unwrap();
        assert_eq!(found, [id.as_str()]);
    }
}

#[test]
fn many_may_search_at_once() {
    let folder = folder();
    let file = folder.path().join("flux.db");
    let store = open(&file);
    let ids: Vec<String> = (0..30_000).map(|i| format!("{i:05}")).collect();
    fill(&file, &ids);
    runtime().block_on(async {
        let searches = (0..20).map(|_| store.matching("0007", 9));
        for found in futures::future::join_all(searches).await {
            assert_eq!(found.unwrap(), naive(&ids, "0007", 9));
        }
    });
}
