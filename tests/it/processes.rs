//! The same file, one process after another and several at once.

use std::io::Write;
use std::path::Path;

use flux::{Engine, Error, EventKind, ExecutionContext, Status, TaskError, task, workflow};

use crate::support::process::{self, Process, store_in};

#[task]
async fn append_line(line: String) -> usize {
    let path = process::folder().join("lines");
    let mut file = std::fs::OpenOptions::new()
        .append(true)
        .create(true)
        .open(path)
        .unwrap();
    writeln!(file, "{line}").unwrap();
    line.len()
}

#[workflow]
async fn write_and_pause(_ctx: ExecutionContext) -> Result<String, TaskError> {
    append_line("written".into()).await?;
    flux::pause("manual_approval").await;
    Ok("Complete".to_owned())
}

#[workflow]
async fn write_and_wait(_ctx: ExecutionContext) -> Result<String, TaskError> {
    append_line("waiting".into()).await?;
    let word = flux::signal::<String>("word").await;
    append_line(word.clone()).await?;
    Ok(word)
}

/// Prints one line of what it came to; what the other tests here start.
#[tokio::test]
async fn as_a_child_process() {
    let Some(role) = process::role() else {
        return;
    };
    let engine = Engine::open(store_in(&process::folder())).await.unwrap();
    let id = "the-one";
    let said = match &*role {
        "run" => describe(write_and_pause.on(&engine).run(()).execution_id(id).await),
        "resume" => describe(write_and_pause.on(&engine).resume(id).await),
        "wait" => describe(write_and_wait.on(&engine).run(()).execution_id(id).await),
        "resume the wait" => describe(write_and_wait.on(&engine).resume(id).await),
        "signal" => format!("{:?}", engine.signal(id, "word", "hello").await),
        "start" => {
            let handle = write_and_wait
                .on(&engine)
                .start(())
                .execution_id(id)
                .await
                .unwrap();
            let mut events = engine.subscribe(id).await.unwrap();
            events.wait_for(EventKind::SignalAwaited).await.unwrap();
            println!("> started");
            describe(handle.wait().await)
        }
        other => panic!("{other}"),
    };
    println!("> {said}");
}

fn describe(run: Result<flux::Execution<String>, Error>) -> String {
    match run {
        Ok(run) => format!(
            "{} {:?} {:?}",
            run.status(),
            run.pause_point(),
            run.output()
        ),
        Err(Error::AlreadyRunning { .. }) => "already running".to_owned(),
        Err(error) => error.to_string(),
    }
}

fn start(folder: &Path, role: &str) -> Process {
    Process::start("processes::as_a_child_process", role, folder)
}

fn lines(folder: &Path) -> Vec<String> {
    let text = std::fs::read_to_string(folder.join("lines")).unwrap_or_default();
    text.lines().map(str::to_owned).collect()
}

/// AT-2, each step in a process of its own.
#[tokio::test]
async fn each_step_may_happen_in_another_process() {
    let folder = tempfile::tempdir().unwrap();
    let process = |role| start(folder.path(), role).ends();
    assert_eq!(process("run"), r#"Paused Some("manual_approval") None"#);
    assert_eq!(process("run"), r#"Paused Some("manual_approval") None"#);
    assert_eq!(process("resume"), r#"Completed None Some("Complete")"#);
    let engine = Engine::open(store_in(folder.path())).await.unwrap();
    let events = engine.history("the-one").await.unwrap();
    assert_eq!(process("resume"), r#"Completed None Some("Complete")"#);
    assert_eq!(engine.history("the-one").await.unwrap(), events);
    assert_eq!(lines(folder.path()), ["written"]);
}

/// AT-17, two processes.
#[tokio::test]
async fn of_two_processes_one_drives_and_the_other_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let mut first = start(folder.path(), "start");
    assert_eq!(first.says(), "started");
    let second = start(folder.path(), "resume the wait");
    assert_eq!(second.ends(), "already running");
    // A third attaches to what the first does.
    let third = start(folder.path(), "wait");
    let signal = start(folder.path(), "signal");
    assert_eq!(signal.ends(), "Ok(())");
    assert_eq!(first.ends(), r#"Completed None Some("hello")"#);
    assert_eq!(third.ends(), r#"Completed None Some("hello")"#);
    assert_eq!(lines(folder.path()), ["waiting", "hello"]);
}

/// PITFALL: after a `kill -9` the dead process's heartbeat was still fresh, and the next start was refused for as long
/// as a lease lasts.
#[tokio::test]
async fn what_a_killed_process_drove_is_taken_up_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let mut first = start(folder.path(), "start");
    assert_eq!(first.says(), "started");
    first.kill();
    let engine = Engine::open(store_in(folder.path())).await.unwrap();
    assert_eq!(
        engine.get("the-one").await.unwrap().status(),
        Status::Running
    );
    engine.signal("the-one", "word", "again").await.unwrap();
    let second = start(folder.path(), "resume the wait");
    assert_eq!(second.ends(), r#"Completed None Some("again")"#);
    assert_eq!(lines(folder.path()), ["waiting", "again"]);
}

/// Whether processes started by this one ignore SIGINT, as those of a script's `command &` do.
#[cfg(unix)]
fn ignores_interrupts() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let ignored = ignored.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    ignored.is_some_and(|mask| mask & 0b10 != 0)
}

#[cfg(unix)]
#[tokio::test]
async fn an_interrupt_from_the_keyboard_is_a_crash_and_cancels_nothing() {
    if ignores_interrupts() {
        println!("skipped: a shell that puts programs into the background has them ignore SIGINT");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let mut first = start(folder.path(), "start");
    assert_eq!(first.says(), "started");
    first.send("INT");
    assert!(!first.wait());
    let engine = Engine::open(store_in(folder.path())).await.unwrap();
    assert_eq!(
        engine.get("the-one").await.unwrap().status(),
        Status::Running
    );
    let events = engine.history("the-one").await.unwrap();
    assert_eq!(events.last().unwrap().kind, EventKind::SignalAwaited);
    engine.signal("the-one", "word", "on").await.unwrap();
    let run = start(folder.path(), "resume the wait").ends();
    assert_eq!(run, r#"Completed None Some("on")"#);
    assert_eq!(lines(folder.path()), ["waiting", "on"]);
}

/// AT-17: two at the same moment.
#[tokio::test]
async fn two_resumes_at_once_run_everything_once() {
    let folder = tempfile::tempdir().unwrap();
    assert!(start(folder.path(), "run").ends().starts_with("Paused"));
    let (one, two) = (
        start(folder.path(), "resume"),
        start(folder.path(), "resume"),
    );
    let done = r#"Completed None Some("Complete")"#;
    for said in [one.ends(), two.ends()] {
        assert!(said == done || said == "already running", "{said}");
    }
    let engine = Engine::open(store_in(folder.path())).await.unwrap();
    let events = engine.history("the-one").await.unwrap();
    let kinds: Vec<_> = events.iter().map(|event| event.kind).collect();
    assert_eq!(kinds.len(), 6, "{kinds:?}");
    assert_eq!(lines(folder.path()), ["written"]);
}
