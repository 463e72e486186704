//! Engines: the global one across runtimes, workflows of one name, and where the file is.

use flux::{Engine, Error, ExecutionContext, TaskError, task, workflow};

use crate::support::process::{self, Process, store_in};
use crate::support::unique;

#[task]
async fn count_letters(word: String) -> usize {
    word.len()
}

#[workflow]
async fn count_word(ctx: ExecutionContext<String>) -> Result<usize, TaskError> {
    flux::sleep(std::time::Duration::from_millis(1)).await;
    count_letters(ctx.input().clone()).await
}

/// PITFALL: an engine kept across two runtimes had its writer on the first; the second test hung.
#[test]
fn one_engine_serves_several_runtimes_one_after_the_other() {
    let folder = tempfile::tempdir().unwrap();
    let runtime = || {
        tokio::runtime::Builder::new_multi_thread()
            .enable_all()
            .build()
            .unwrap()
    };
    let path = folder.path().join("deep/down/flux.db");
    let engines = [
        runtime().block_on(Engine::open(&path)).unwrap(),
        Engine::in_memory(),
    ];
    for engine in engines {
        let id = unique("runtimes");
        for n in 0..3 {
            // Each runtime ends with its block.
            let run = runtime()
                .block_on(async { count_word.on(&engine).run("hello".into()).await.unwrap() });
            assert_eq!(run.output(), Some(&5), "runtime {n}");
        }
        let runtime_that_dies = runtime();
        runtime_that_dies.block_on(async {
            count_word
                .on(&engine)
                .start("bye".into())
                .execution_id(&id)
                .await
                .unwrap();
        });
        drop(runtime_that_dies);
        let run = runtime().block_on(async {
            count_word
                .on(&engine)
                .run("bye".into())
                .execution_id(&id)
                .await
        });
        assert_eq!(run.unwrap().output(), Some(&3));
    }
}

mod twin {
    use super::*;

    #[workflow(name = "count_word", version = 2)]
    pub(super) async fn count_more(ctx: ExecutionContext<String>) -> usize {
        ctx.input().len() * 2
    }
}

#[tokio::test]
async fn two_versions_of_one_workflow_live_side_by_side() {
    let engine = Engine::in_memory();
    assert!(engine.workflows().contains(&"count_word".to_owned()));
    let one = count_word.on(&engine).run("hello".into()).await.unwrap();
    let two = twin::count_more
        .on(&engine)
        .run("hello".into())
        .await
        .unwrap();
    assert_eq!((one.output(), two.output()), (Some(&5), Some(&10)));
    assert_eq!((one.version(), two.version()), (1, 2));
}

#[tokio::test]
async fn a_file_that_cannot_be_opened_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("notes.txt");
    std::fs::write(
        &path,
        "these are my notes, and no database at all, though long enough to be one",
    )
    .unwrap();
    let error = Engine::open(&path).await.unwrap_err();
    assert!(matches!(error, Error::Store(_)), "{error}");
    assert!(error.to_string().contains("notes.txt"), "{error}");
    let text = std::fs::read_to_string(&path).unwrap();
    assert!(text.starts_with("these are my notes"));
    let error = Engine::builder()
        .sqlite("warehouse://here")
        .build()
        .await
        .unwrap_err();
    assert!(
        matches!(error, Error::Configuration(_) | Error::MissingState { .. }),
        "{error}"
    );
}

#[tokio::test]
async fn an_unknown_workflow_shows_what_is_registered() {
    use flux::store::{Commit, MemoryStore, NewExecution, Store, Target};
    let store = MemoryStore::new();
    let worker = store.join().await.unwrap();
    let at = std::time::SystemTime::now().into();
    let new = NewExecution {
        id: "lost".into(),
        workflow: "of_another_program".into(),
        version: 1,
        created_at: at,
        parent: None,
        owner: Some(worker.id()),
        placement: flux::store::Placement::default(),
    };
    let started = flux::Event {
        seq: flux::EventSeq::FIRST,
        at,
        kind: flux::EventKind::WorkflowStarted,
        refers: None,
        name: Some("of_another_program".into()),
        payload: Some(flux::Payload::from_json("null")),
        meta: None,
    };
    let commit = Commit {
        events: vec![started],
        ..Commit::to(Target::New(Box::new(new)))
    };
    store.commit(commit).await.unwrap();
    drop(worker);
    let builder = Engine::builder()
        .store(store)
        .state(crate::support::Greeter { word: "hi" });
    let engine = builder.build().await.unwrap();
    let error = engine.resume("lost").await.unwrap_err();
    let Error::WorkflowNotFound {
        name, available, ..
    } = &error
    else {
        panic!("{error}")
    };
    assert_eq!(name, "of_another_program");
    assert!(
        available.iter().any(|name| name.contains("count_word")),
        "{available:?}"
    );
    assert!(error.to_string().contains("use my_flows as _"), "{error}");
    assert!(engine.get("lost").await.unwrap().output().is_none());
}

/// What the next test starts: a program that names no store, in a folder below the file that does.
#[test]
fn as_a_program_that_names_no_store() {
    let Some(id) = process::role() else { return };
    std::env::set_current_dir(process::folder().join("src/bin")).unwrap();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let run = runtime.block_on(async { count_word.run("hello".into()).execution_id(id).await });
    println!("> {}", run.unwrap().status());
}

/// The command line reads `flux.toml`, too; a program that did not wrote into another file than the one it looked at.
#[tokio::test]
async fn a_program_that_names_no_store_takes_the_one_that_flux_toml_names() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(folder.path().join("src/bin")).unwrap();
    std::fs::write(folder.path().join("flux.toml"), "db = \"flux.db\"\n").unwrap();
    let play = "engines::as_a_program_that_names_no_store";
    let child = Process::start(play, "counted", folder.path());
    assert_eq!(child.ends(), "Completed");
    let engine = Engine::open(store_in(folder.path())).await.unwrap();
    assert!(engine.get("counted").await.unwrap().has_succeeded());
    assert!(!folder.path().join("src/bin/flux.db").exists());
}

static HELD: tokio::sync::Notify = tokio::sync::Notify::const_new();

#[task]
async fn charge_card() -> u32 {
    crate::support::begin();
    HELD.notified().await;
    4990
}

#[workflow]
async fn pay_by_card(_ctx: ExecutionContext) -> Result<u32, TaskError> {
    charge_card().await
}

/// PITFALL: the first engine kept its lock files beside the link and the second beside the file, and both drove.
#[cfg(unix)]
#[tokio::test]
async fn a_file_that_was_made_through_a_dangling_link_has_one_owner() {
    let folder = tempfile::tempdir().unwrap();
    let (link, file) = (folder.path().join("link.db"), folder.path().join("real.db"));
    std::os::unix::fs::symlink("real.db", &link).unwrap();
    let id = unique("paid-once");
    let first = Engine::open(&link).await.unwrap();
    let handle = pay_by_card.on(&first).start(()).execution_id(&id);
    let handle = handle.await.unwrap();
    while crate::support::ran(&id, "charge_card") == 0 {
        tokio::task::yield_now().await;
    }
    for name in [&link, &file] {
        let second = Engine::open(name).await.unwrap();
        let worker = second.worker().spawn();
        // A worker that has driven this has looked for all that there is to take over.
        let other = count_word.on(&second).start("hello".into()).for_worker();
        assert!(other.await.unwrap().wait().await.unwrap().has_finished());
        assert!(matches!(
            pay_by_card.on(&second).resume(&id).await,
            Err(Error::AlreadyRunning { .. })
        ));
        worker.stop().await;
    }
    HELD.notify_one();
    assert_eq!(handle.wait().await.unwrap().output(), Some(&4990));
    assert_eq!(crate::support::ran(&id, "charge_card"), 1);
}
