//! `worker` and `worker list`.

use std::io::{BufRead, BufReader};

use flux::Engine;

use crate::support::{Folder, golden};

#[test]
fn without_workers_it_says_so() {
    let folder = Folder::empty();
    folder.run("flux db migrate").exits(0);
    golden!(folder.transcript(&["flux worker list", "flux worker list --json", "flux worker"]));
}

#[test]
fn a_worker_that_died_is_listed_with_what_it_left() {
    let folder = Folder::seeded();
    golden!(folder.run("flux worker list --json").exits(0).transcript());
    let listed = folder.run("flux worker list").exits(0);
    let row = listed.stdout.lines().nth(1).unwrap();
    assert!(row.contains("  dead  "), "{row}");
}

#[test]
fn a_worker_that_lives_is_listed() {
    let folder = Folder::empty();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let worker = runtime.block_on(async {
        let engine = Engine::builder().sqlite(folder.path("flux.db"));
        let engine = engine.build().await.unwrap();
        let worker = engine.worker().queue("nothing").concurrency(8).spawn();
        let serves = async || {
            let workers = engine.workers().await.unwrap();
            workers.iter().any(|worker| worker.serves.is_some())
        };
        while !serves().await {
            tokio::task::yield_now().await;
        }
        worker
    });
    let listed = folder.run("flux worker list -o wide").exits(0);
    let row = listed.stdout.lines().nth(1).unwrap();
    let process = format!("{} on ", std::process::id());
    assert!(
        row.contains(&process) && row.contains("  serving  "),
        "{row}"
    );
    assert!(row.contains("  nothing  "), "{row}");
    golden!(folder.run("flux worker list --json").exits(0).transcript());
    runtime.block_on(worker.stop());
}

/// The worker of a program takes what another recorded.
#[test]
fn a_program_serves_what_was_recorded() {
    let folder = Folder::empty();
    folder
        .run("flux start greet_person --id ada --input '{\"name\": \"Ada\"}'")
        .exits(0);
    let mut worker = folder.call("shop worker").in_real_time().spawn();
    let mut said = BufReader::new(worker.stderr.take().unwrap()).lines();
    let first = said.next().unwrap().unwrap();
    let done = folder
        .call("flux result ada --wait")
        .in_real_time()
        .run()
        .exits(0);
    assert_eq!(done.json()["name_length"], 3);
    let interrupt = format!("kill -INT {}", worker.id());
    assert!(
        std::process::Command::new("sh")
            .args(["-c", &interrupt])
            .status()
            .unwrap()
            .success()
    );
    assert!(worker.wait().unwrap().success());
    assert!(first.starts_with("serving `"), "{first}");
    assert!(first.ends_with("Ctrl-C stops in order"), "{first}");
    let last = said.last().unwrap().unwrap();
    assert_eq!(last, "stopped in order");
}
