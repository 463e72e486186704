//! What is logged: spans that name the execution, and nothing twice in a replay.

use std::fmt::Write as _;
use std::sync::{Arc, Mutex};

use flux::{Error, ExecutionContext, ExecutionId, TaskError, task, workflow};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};

use crate::support::{Shelf, When, set_code, unique};

/// Keeps spans and events as lines.
#[derive(Clone)]
pub(crate) struct Lines {
    lines: Arc<Mutex<Vec<String>>>,
    level: tracing::Level,
}

impl Default for Lines {
    fn default() -> Self {
        Self::at(tracing::Level::INFO)
    }
}

struct Fields<'a>(&'a mut String);

impl Visit for Fields<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        write!(self.0, " {}={value:?}", field.name()).unwrap();
    }
}

impl Lines {
    fn at(level: tracing::Level) -> Self {
        Self {
            lines: Arc::default(),
            level,
        }
    }

    fn push(&self, mut line: String, record: impl FnOnce(&mut Fields<'_>)) {
        record(&mut Fields(&mut line));
        self.lines.lock().unwrap().push(line);
    }

    /// The lines of one target and execution, without what differs from run to run.
    fn of(&self, target: &str, id: &ExecutionId) -> Vec<String> {
        let (target, id) = (format!(" {target}: "), format!("execution_id={id} "));
        let lines = self.lines.lock().unwrap();
        let of_this = lines
            .iter()
            .filter(|line| line.contains(&target) && line.contains(&id));
        of_this
            .map(|line| line.replacen(&target, " ", 1).replacen(&id, "", 1))
            .collect()
    }

    pub(crate) fn having(&self, words: &str) -> usize {
        self.lines
            .lock()
            .unwrap()
            .iter()
            .filter(|line| line.contains(words))
            .count()
    }
}

impl Subscriber for Lines {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        *metadata.level() <= self.level
    }

    fn new_span(&self, span: &Attributes<'_>) -> Id {
        self.push(format!("span {}", span.metadata().name()), |fields| {
            span.record(fields)
        });
        Id::from_u64(1)
    }

    fn record(&self, _span: &Id, _values: &Record<'_>) {}

    fn record_follows_from(&self, _span: &Id, _follows: &Id) {}

    fn event(&self, event: &Event<'_>) {
        let metadata = event.metadata();
        let line = format!("{} {}:", metadata.level(), metadata.target());
        self.push(line, |fields| event.record(fields));
    }

    fn enter(&self, _span: &Id) {}

    fn exit(&self, _span: &Id) {}
}

#[task]
async fn measure(n: u32) -> u32 {
    tokio::time::sleep(std::time::Duration::from_millis(u64::from(n))).await;
    tracing::info!("body {n}");
    n
}

async fn measure_and_log(n: u32) -> Result<u32, TaskError> {
    let n = measure(n).await?;
    tracing::info!("code has {n}");
    Ok(n)
}

#[workflow]
async fn log_steps(ctx: ExecutionContext) -> Result<u32, TaskError> {
    let replayed = if ctx.is_replaying() { "replay" } else { "live" };
    tracing::info!("code begins {replayed}");
    let (one, two) = tokio::join!(measure_and_log(1), measure_and_log(2));
    tracing::info!("code has both");
    flux::pause("look").await;
    tracing::info!("code goes on");
    Ok(one? + two?)
}

#[tokio::test(start_paused = true)]
async fn nothing_is_logged_twice_in_a_replay() {
    for shelf in [Shelf::memory(), Shelf::memory().always_replay()] {
        let lines = Lines::default();
        let _guard = tracing::subscriber::set_default(lines.clone());
        let run = log_steps.on(&shelf.engine().await).run(()).await.unwrap();
        let id = run.execution_id().clone();
        drop(run);
        shelf.nobody_is_left().await;
        let run = log_steps
            .on(&shelf.engine().await)
            .resume(&id)
            .await
            .unwrap();
        assert_eq!(run.output(), Some(&3));
        for words in [
            "code begins live",
            "code has both",
            "code goes on",
            "body 1",
            "body 2",
        ] {
            assert_eq!(lines.having(words), 1, "{words}");
        }
        assert_eq!(lines.having("code begins replay"), 0);
        // A span for each attempt, and one each time that somebody drives the execution.
        assert_eq!(
            lines.having("span task"),
            2,
            "{:?}",
            lines.lines.lock().unwrap()
        );
        assert_eq!(lines.having("span execution"), 2);
        let of_this = |line: &String| line.contains(&format!("execution_id={id}"));
        let all = lines.lines.lock().unwrap().clone();
        let spans = all.iter().filter(|line| line.starts_with("span "));
        assert_eq!(spans.filter(|line| of_this(line)).count(), 4);
        assert_eq!(lines.having("span task"), 2);
    }
}

#[tokio::test(start_paused = true)]
async fn what_was_logged_before_a_crash_is_not_logged_again() {
    for commit in 1..=3 {
        let shelf = Shelf::memory();
        let lines = Lines::default();
        let _guard = tracing::subscriber::set_default(lines.clone());
        let id = unique("log");
        let engine = shelf.engine().await;
        shelf.stop_at(commit, When::AfterCommit);
        if shelf
            .crash(log_steps.on(&engine).run(()).execution_id(&id))
            .await
            .is_some()
        {
            panic!("it ran on");
        }
        drop(engine);
        shelf.nobody_is_left().await;
        shelf.go_on();
        let on = log_steps.on(&shelf.engine().await);
        let _ = on.run(()).execution_id(&id).await.unwrap();
        for words in ["code begins", "code has 1", "code has 2", "code has both"] {
            assert_eq!(
                lines.having(words),
                1,
                "`{words}`, crashed after commit {commit}"
            );
        }
    }
}

#[workflow]
async fn wait_plainly(_ctx: ExecutionContext) -> Result<u32, TaskError> {
    for n in 0..3 {
        tokio::time::sleep(std::time::Duration::from_millis(1)).await;
        measure(n).await?;
    }
    Ok(1)
}

#[tokio::test(start_paused = true)]
async fn a_foreign_wake_up_is_warned_about_once() {
    let lines = Lines::default();
    let _guard = tracing::subscriber::set_default(lines.clone());
    let run = wait_plainly
        .on(&Shelf::memory().engine().await)
        .run(())
        .await
        .unwrap();
    assert!(run.has_succeeded());
    assert_eq!(lines.having("WARN"), 1, "{:?}", lines.lines.lock().unwrap());
    assert_eq!(lines.having("flux::step"), 1);
}

#[task(max_attempts = 2, backoff = "fixed(10ms)")]
async fn decline() -> Result<(), String> {
    Err("declined".to_owned())
}

#[workflow]
async fn sell_in_vain(_ctx: ExecutionContext) -> Result<(), TaskError> {
    decline().await
}

#[workflow(max_attempts = 2)]
async fn fail_twice_in_vain(_ctx: ExecutionContext) -> Result<(), String> {
    Err("no luck".to_owned())
}

#[workflow]
async fn break_down_in_code(_ctx: ExecutionContext) {
    panic!("boom")
}

#[workflow]
async fn measure_and_ask(ctx: ExecutionContext) -> Result<u32, TaskError> {
    let n = measure(if crate::support::code_of(ctx.execution_id()) == 0 {
        1
    } else {
        2
    })
    .await?;
    flux::pause("review").await;
    Ok(n)
}

#[workflow]
async fn wait_without_end(_ctx: ExecutionContext) {
    flux::signal::<()>("never").await;
}

const TARGET: &str = "flux::execution";

fn debug() -> (Lines, tracing::subscriber::DefaultGuard) {
    let lines = Lines::at(tracing::Level::DEBUG);
    let guard = tracing::subscriber::set_default(lines.clone());
    (lines, guard)
}

/// They left no line, or one without the error.
#[tokio::test(start_paused = true)]
async fn each_failure_is_logged_once_with_its_error() {
    let (lines, _guard) = debug();
    for shelf in [Shelf::memory(), Shelf::memory().always_replay()] {
        let engine = shelf.engine().await;
        let worker = engine.worker().spawn();
        for is_for_worker in [false, true] {
            let begin = async |start: flux::Start<()>| {
                let start = if is_for_worker {
                    start.for_worker()
                } else {
                    start
                };
                start.await.unwrap()
            };
            let sold = begin(sell_in_vain.on(&engine).start(())).await;
            let id = sold.execution_id().clone();
            let _ = sold.wait().await.unwrap();
            assert_eq!(
                lines.of(TARGET, &id),
                [
                    "INFO message=execution started workflow=\"sell_in_vain\" version=1",
                    "WARN message=execution failed workflow=\"sell_in_vain\" attempt=1 kind=\"error\" \
                     task=\"decline\" error=\"task `decline` failed after 2 attempts: declined\"",
                ]
            );
            let attempts = lines.of("flux::task", &id);
            assert_eq!(
                attempts.len(),
                1,
                "the last one is told with the execution: {attempts:?}"
            );
            assert!(attempts[0].starts_with("DEBUG") && attempts[0].contains("declined"));
        }
        let run = fail_twice_in_vain.on(&engine).run(()).await.unwrap();
        let told = lines.of(TARGET, run.execution_id());
        assert!(told[0].contains("execution started"), "{told:?}");
        assert!(
            told[1].starts_with("DEBUG") && told[1].contains("no luck"),
            "{told:?}"
        );
        assert!(
            told[2].starts_with("WARN") && told[2].contains("attempt=2"),
            "{told:?}"
        );
        assert_eq!(told.len(), 3, "{told:?}");

        let run = break_down_in_code.on(&engine).run(()).await.unwrap();
        let told = lines.of(TARGET, run.execution_id());
        assert!(
            told[1].contains("panicked") && told[1].contains("boom"),
            "{told:?}"
        );
        assert_eq!(told.len(), 2, "{told:?}");
        worker.stop().await;
    }
}

#[tokio::test(start_paused = true)]
async fn what_becomes_of_an_execution_is_logged_once() {
    let (lines, _guard) = debug();
    for shelf in [Shelf::memory(), Shelf::memory().always_replay()] {
        let engine = shelf.engine().await;
        let on = measure_and_ask.on(&engine);
        let id = on.run(()).await.unwrap().execution_id().clone();
        let _ = on.resume(&id).await.unwrap();
        let words = ["started", "paused", "resumed", "finished"];
        told(&lines, &id, &words.map(|word| ("INFO", word)));
        assert_eq!(
            lines.having("at=\"review\""),
            lines.having("execution paused")
        );

        let ended = async |end: &str| {
            let handle = wait_without_end.on(&engine).start(()).await.unwrap();
            let id = handle.execution_id().clone();
            match end {
                "cancelled" => engine.cancel(&id).await.unwrap(),
                "terminated" => engine.terminate(&id, "enough").await.unwrap(),
                _ => engine.pause(&id).await.unwrap(),
            }
            let _ = handle.wait().await.unwrap();
            id
        };
        for end in ["cancelled", "terminated", "put on hold"] {
            let id = ended(end).await;
            told(&lines, &id, &[("INFO", "started"), ("WARN", end)]);
            if end == "put on hold" {
                engine.resume(&id).request().await.unwrap();
                engine.terminate(&id, "enough").await.unwrap();
                let more = [
                    ("INFO", "started"),
                    ("WARN", end),
                    ("INFO", "resumed"),
                    ("WARN", "terminated"),
                ];
                told(&lines, &id, &more);
            }
        }
    }
}

#[workflow]
async fn delegate_measure(_ctx: ExecutionContext) -> Result<(), TaskError> {
    log_child.call(()).await
}

#[workflow]
async fn log_child(_ctx: ExecutionContext) {}

/// A child is created by the commit of its parent, or waits for a worker.
#[tokio::test(start_paused = true)]
async fn a_child_is_logged_as_any_execution() {
    let (lines, _guard) = debug();
    let engine = Shelf::memory().engine().await;
    let run = delegate_measure.on(&engine).run(()).await.unwrap();
    let children = engine.list().children_of(run.execution_id()).await.unwrap();
    let both = ["started", "finished"].map(|word| ("INFO", word));
    told(&lines, run.execution_id(), &both);
    told(&lines, children[0].execution_id(), &both);
}

/// Who ends what no process drives says so.
#[tokio::test(start_paused = true)]
async fn the_end_of_what_nobody_drives_is_logged() {
    let (lines, _guard) = debug();
    let engine = Shelf::memory().engine().await;
    let later = async || {
        let start = measure_and_ask.on(&engine).start(()).for_worker();
        start.await.unwrap().execution_id().clone()
    };
    let id = later().await;
    engine.cancel(&id).await.unwrap();
    told(&lines, &id, &[("WARN", "cancelled")]);
    let id = later().await;
    engine.terminate(&id, "enough").await.unwrap();
    told(&lines, &id, &[("WARN", "terminated")]);
}

#[tokio::test(start_paused = true)]
async fn a_takeover_and_an_obstacle_are_logged() {
    let (lines, _guard) = debug();
    let shelf = Shelf::memory();
    let engine = shelf.engine().await;
    let run = measure_and_ask.on(&engine).run(()).await.unwrap();
    let id = run.execution_id().clone();
    // Another process continues it, and dies.
    let store = shelf.store();
    let other = store.join().await.unwrap();
    store.claim(&id, other.id()).await.unwrap();
    drop(other);

    set_code(&id, 1);
    let error = measure_and_ask.on(&engine).resume(&id).await.unwrap_err();
    assert!(matches!(error, Error::NonDeterminism(_)), "{error}");
    let crashed = [
        ("INFO", "started"),
        ("INFO", "paused"),
        ("INFO", "taken over"),
        ("ERROR", "cannot continue"),
    ];
    told(&lines, &id, &crashed);
}

/// What is told of an execution: levels and words, in their order.
fn told(lines: &Lines, id: &ExecutionId, expected: &[(&str, &str)]) {
    let told = lines.of(TARGET, id);
    let fits = |(line, (level, words)): (&String, &(&str, &str))| {
        line.starts_with(level) && line.contains(&format!("execution {words}"))
    };
    let all_fit = told.iter().zip(expected).all(fits);
    assert!(
        all_fit && told.len() == expected.len(),
        "{told:#?} is not {expected:?}"
    );
}
