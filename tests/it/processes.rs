//! The same file, one process after another and several at once.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use flux::{Engine, Error, EventKind, ExecutionContext, Status, TaskError, task, workflow};

const ROLE: &str = "FLUX_TEST_ROLE";

#[task]
async fn append_line(line: String) -> usize {
    let path = std::env::var("FLUX_TEST_LINES").unwrap();
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
    let Ok(role) = std::env::var(ROLE) else {
        return;
    };
    let engine = Engine::open(std::env::var("FLUX_TEST_FILE").unwrap())
        .await
        .unwrap();
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

struct Process {
    child: Child,
    output: BufReader<ChildStdout>,
    _input: Option<ChildStdin>,
}

impl Process {
    fn start(folder: &Path, role: &str) -> Self {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "processes::as_a_child_process", "--nocapture"])
            .env(ROLE, role)
            .env("FLUX_TEST_FILE", folder.join("flux.db"))
            .env("FLUX_TEST_LINES", folder.join("lines"))
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        let _input = child.stdin.take();
        Self {
            child,
            output,
            _input,
        }
    }

    /// The next thing it says.
    fn says(&mut self) -> String {
        let mut line = String::new();
        while self.output.read_line(&mut line).unwrap() > 0 {
            if let Some((_, said)) = line.trim_end().split_once("> ") {
                return said.to_owned();
            }
            line.clear();
        }
        panic!("it said nothing more")
    }

    fn ends(mut self) -> String {
        let said = self.says();
        self.child.wait().unwrap();
        said
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn lines(folder: &Path) -> Vec<String> {
    let text = std::fs::read_to_string(folder.join("lines")).unwrap_or_default();
    text.lines().map(str::to_owned).collect()
}

/// AT-2, each step in a process of its own.
#[tokio::test]
async fn each_step_may_happen_in_another_process() {
    let folder = tempfile::tempdir().unwrap();
    let process = |role| Process::start(folder.path(), role).ends();
    assert_eq!(process("run"), r#"Paused Some("manual_approval") None"#);
    assert_eq!(process("run"), r#"Paused Some("manual_approval") None"#);
    assert_eq!(process("resume"), r#"Completed None Some("Complete")"#);
    let engine = Engine::open(folder.path().join("flux.db")).await.unwrap();
    let events = engine.history("the-one").await.unwrap();
    assert_eq!(process("resume"), r#"Completed None Some("Complete")"#);
    assert_eq!(engine.history("the-one").await.unwrap(), events);
    assert_eq!(lines(folder.path()), ["written"]);
}

/// AT-17, two processes.
#[tokio::test]
async fn of_two_processes_one_drives_and_the_other_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let mut first = Process::start(folder.path(), "start");
    assert_eq!(first.says(), "started");
    let second = Process::start(folder.path(), "resume the wait");
    assert_eq!(second.ends(), "already running");
    // A third attaches to what the first does.
    let third = Process::start(folder.path(), "wait");
    let signal = Process::start(folder.path(), "signal");
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
    let mut first = Process::start(folder.path(), "start");
    assert_eq!(first.says(), "started");
    first.child.kill().unwrap();
    first.child.wait().unwrap();
    let engine = Engine::open(folder.path().join("flux.db")).await.unwrap();
    assert_eq!(
        engine.get("the-one").await.unwrap().status(),
        Status::Running
    );
    engine.signal("the-one", "word", "again").await.unwrap();
    let second = Process::start(folder.path(), "resume the wait");
    assert_eq!(second.ends(), r#"Completed None Some("again")"#);
    assert_eq!(lines(folder.path()), ["waiting", "again"]);
}

#[cfg(unix)]
#[tokio::test]
async fn an_interrupt_from_the_keyboard_is_a_crash_and_cancels_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let mut first = Process::start(folder.path(), "start");
    assert_eq!(first.says(), "started");
    let id = first.child.id().to_string();
    assert!(
        Command::new("kill")
            .args(["-INT", &id])
            .status()
            .unwrap()
            .success()
    );
    assert!(!first.child.wait().unwrap().success());
    let engine = Engine::open(folder.path().join("flux.db")).await.unwrap();
    assert_eq!(
        engine.get("the-one").await.unwrap().status(),
        Status::Running
    );
    let events = engine.history("the-one").await.unwrap();
    assert_eq!(events.last().unwrap().kind, EventKind::SignalAwaited);
    engine.signal("the-one", "word", "on").await.unwrap();
    let run = Process::start(folder.path(), "resume the wait").ends();
    assert_eq!(run, r#"Completed None Some("on")"#);
    assert_eq!(lines(folder.path()), ["waiting", "on"]);
}

/// AT-17: two at the same moment.
#[tokio::test]
async fn two_resumes_at_once_run_everything_once() {
    let folder = tempfile::tempdir().unwrap();
    assert!(
        Process::start(folder.path(), "run")
            .ends()
            .starts_with("Paused")
    );
    let (one, two) = (
        Process::start(folder.path(), "resume"),
        Process::start(folder.path(), "resume"),
    );
    let done = r#"Completed None Some("Complete")"#;
    for said in [one.ends(), two.ends()] {
        assert!(said == done || said == "already running", "{said}");
    }
    let engine = Engine::open(folder.path().join("flux.db")).await.unwrap();
    let events = engine.history("the-one").await.unwrap();
    let kinds: Vec<_> = events.iter().map(|event| event.kind).collect();
    assert_eq!(kinds.len(), 6, "{kinds:?}");
    assert_eq!(lines(folder.path()), ["written"]);
}
