//! What is logged: spans that name the execution, and nothing twice in a replay.

use std::fmt::Write as _;
use std::sync::{Arc, Mutex};

use flux::{ExecutionContext, TaskError, task, workflow};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};

use crate::support::{Shelf, When, unique};

/// Keeps spans and events as lines.
#[derive(Clone, Default)]
pub(crate) struct Lines(Arc<Mutex<Vec<String>>>);

struct Fields<'a>(&'a mut String);

impl Visit for Fields<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        write!(self.0, " {}={value:?}", field.name()).unwrap();
    }
}

impl Lines {
    fn push(&self, mut line: String, record: impl FnOnce(&mut Fields<'_>)) {
        record(&mut Fields(&mut line));
        self.0.lock().unwrap().push(line);
    }

    pub(crate) fn having(&self, words: &str) -> usize {
        self.0
            .lock()
            .unwrap()
            .iter()
            .filter(|line| line.contains(words))
            .count()
    }
}

impl Subscriber for Lines {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        *metadata.level() <= tracing::Level::INFO
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
        self.push(event.metadata().level().to_string(), |fields| {
            event.record(fields)
        });
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
            lines.0.lock().unwrap()
        );
        assert_eq!(lines.having("span execution"), 2);
        assert_eq!(lines.having(&format!("execution_id={id}")), 4);
        assert_eq!(lines.having("attempt=1"), 2);
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
    assert_eq!(lines.having("WARN"), 1, "{:?}", lines.0.lock().unwrap());
    assert_eq!(lines.having("flux::step"), 1);
}
