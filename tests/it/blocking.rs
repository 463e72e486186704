//! Blocking bodies whose threads hang: what their tasks promise comes all the same.

use std::collections::BTreeSet;
use std::sync::{Condvar, Mutex};
use std::time::{Duration, Instant, SystemTime};

use flux::clock::Clock;
use flux::{
    Engine, EventKind, ExecutionContext, ExecutionId, TaskError, TaskErrorKind, task, workflow,
};

use crate::logging::Lines;
use crate::support::{HandClock, Shelf, begin, ran, settle, unique};

/// The executions whose threads may return.
static OPEN: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());
static OPENED: Condvar = Condvar::new();

/// Hangs until the test is over.
fn hang() {
    let id = flux::task_context().unwrap().execution_id().to_string();
    let mut open = OPEN.lock().unwrap();
    while !open.contains(&id) {
        open = OPENED.wait(open).unwrap();
    }
}

/// Lets the threads of an execution return when it is dropped, or the test's runtime would wait for them.
struct Gate(ExecutionId);

impl Gate {
    fn new(name: &str) -> Self {
        Self(unique(name))
    }
}

impl Drop for Gate {
    fn drop(&mut self) {
        OPEN.lock().unwrap().insert(self.0.to_string());
        OPENED.notify_all();
    }
}

#[task(blocking, timeout = "100ms", fallback = guess)]
fn read_tape() -> String {
    begin();
    hang();
    "data".to_owned()
}

async fn guess() -> String {
    "no data".to_owned()
}

#[task(blocking, timeout = "100ms")]
fn read_disk() -> String {
    begin();
    hang();
    "data".to_owned()
}

#[task(blocking, timeout = "1h", max_attempts = 9, deadline = "150ms")]
fn read_by_deadline() -> String {
    begin();
    hang();
    "data".to_owned()
}

#[task(blocking, timeout = "50ms", max_attempts = 2, backoff = "fixed(1ms)")]
fn read_twice() -> String {
    if begin() == 1 {
        hang();
    }
    "data".to_owned()
}

#[task(blocking, timeout = "50ms", max_attempts = 2, backoff = "fixed(1ms)")]
fn read_obediently() -> String {
    let context = flux::task_context().unwrap();
    if begin() == 1 {
        while !context.is_cancelled() {
            std::thread::sleep(Duration::from_millis(5));
        }
    }
    "data".to_owned()
}

#[derive(Clone, Copy, Debug, serde::Serialize, serde::Deserialize)]
enum Reader {
    Tape,
    Disk,
    ByDeadline,
    Twice,
    Obediently,
}

async fn read(reader: Reader) -> Result<String, TaskError> {
    match reader {
        Reader::Tape => read_tape().await,
        Reader::Disk => read_disk().await,
        Reader::ByDeadline => read_by_deadline().await,
        Reader::Twice => read_twice().await,
        Reader::Obediently => read_obediently().await,
    }
}

#[workflow]
async fn archive(ctx: ExecutionContext<Reader>) -> Result<String, TaskError> {
    read(*ctx.input()).await
}

#[workflow(max_attempts = 2)]
async fn archive_stubbornly(_ctx: ExecutionContext) -> Result<String, TaskError> {
    read_disk().await
}

#[workflow(max_attempts = 2, retry = "restart")]
async fn archive_from_the_start(_ctx: ExecutionContext) -> Result<String, TaskError> {
    read_disk().await
}

async fn patient(patience: Duration) -> Engine {
    let builder = Shelf::memory().builder().blocking_patience(patience);
    builder.build().await.unwrap()
}

const LONG: Duration = Duration::from_secs(600);

/// An engine whose time only the test lets pass: an attempt has all the time it needs to begin, however busy the machine is.
async fn patient_by_hand(patience: Duration) -> (Engine, HandClock) {
    let clock = HandClock::at(SystemTime::now());
    let builder = Shelf::memory().builder().clock(clock.clone());
    let engine = builder.blocking_patience(patience).build().await;
    (engine.unwrap(), clock)
}

/// Waits until a body has begun so often.
async fn until_ran(id: &ExecutionId, task: &str, times: usize) {
    while ran(id, task) < times {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

/// Lets time pass until the next moment that something waits for, which comes within `most`.
async fn pass_to_next(clock: &HandClock, most: Duration) {
    let now = SystemTime::from(clock.now());
    let next = clock.until_awaited(now + Duration::from_micros(1), now + most);
    clock.set(next.await);
    settle().await;
}

const fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

#[tokio::test]
async fn a_hung_thread_keeps_neither_fallback_nor_timeout_nor_deadline_from_coming() {
    let engine = patient(LONG).await;
    let started = Instant::now();
    for (reader, expected) in [
        (Reader::Tape, Ok("no data".to_owned())),
        (Reader::Disk, Err(TaskErrorKind::TimedOut)),
        (Reader::ByDeadline, Err(TaskErrorKind::TimedOut)),
    ] {
        let gate = Gate::new("hung");
        let run = archive.on(&engine).run(reader).execution_id(&gate.0);
        let run = run.await.unwrap();
        let came = match run.failure() {
            Some(failure) => Err(failure.escaped()[0].kind),
            None => Ok(run.output().unwrap().clone()),
        };
        assert_eq!(came, expected, "{run}");
    }
    assert!(started.elapsed() < LONG);
}

#[tokio::test]
async fn another_attempt_waits_for_a_hung_thread_as_long_as_the_engine_says() {
    let patience = millis(400);
    let (engine, clock) = patient_by_hand(patience).await;
    let gate = Gate::new("hung");
    let run = archive.on(&engine).run(Reader::Twice).execution_id(&gate.0);
    let time = async {
        until_ran(&gate.0, "read_twice", 1).await;
        pass_to_next(&clock, millis(50)).await; // its timeout
        pass_to_next(&clock, millis(2)).await; // the backoff
        clock.pass(patience - millis(2));
        settle().await;
        assert_eq!(ran(&gate.0, "read_twice"), 1);
        pass_to_next(&clock, millis(2)).await;
    };
    let (run, ()) = tokio::join!(run.into_future(), time);
    let run = run.unwrap();
    assert_eq!(run.output().map(String::as_str), Some("data"), "{run}");
    assert_eq!(ran(&gate.0, "read_twice"), 2);
    // The failure was recorded when it happened, and the next attempt began when the patience was over.
    let events = run.events().await.unwrap();
    let of = |kind| events.iter().find(|event| event.kind == kind).unwrap().at;
    let waited = of(EventKind::TaskCompleted).since(of(EventKind::TaskAttemptFailed));
    assert_eq!(waited, patience);
}

#[tokio::test]
async fn another_attempt_begins_as_soon_as_the_thread_has_returned() {
    let (engine, clock) = patient_by_hand(LONG).await;
    let id = unique("obedient");
    let run = archive
        .on(&engine)
        .run(Reader::Obediently)
        .execution_id(&id);
    let time = async {
        until_ran(&id, "read_obediently", 1).await;
        pass_to_next(&clock, millis(50)).await;
        pass_to_next(&clock, millis(2)).await;
    };
    let (run, ()) = tokio::join!(run.into_future(), time);
    let run = run.unwrap();
    assert_eq!(run.output().map(String::as_str), Some("data"), "{run}");
    assert_eq!(ran(&id, "read_obediently"), 2);
}

#[tokio::test]
async fn another_attempt_of_the_workflow_waits_for_the_thread_of_the_one_before() {
    let patience = millis(400);
    for workflow in [archive_stubbornly, archive_from_the_start] {
        let (engine, clock) = patient_by_hand(patience).await;
        let gate = Gate::new("hung");
        let run = workflow.on(&engine).run(()).execution_id(&gate.0);
        let time = async {
            until_ran(&gate.0, "read_disk", 1).await;
            pass_to_next(&clock, millis(100)).await;
            clock.pass(patience - millis(1));
            settle().await;
            assert_eq!(ran(&gate.0, "read_disk"), 1);
            pass_to_next(&clock, millis(2)).await;
            until_ran(&gate.0, "read_disk", 2).await;
            pass_to_next(&clock, millis(100)).await;
        };
        let (run, ()) = tokio::join!(run.into_future(), time);
        let run = run.unwrap();
        assert!(run.has_failed(), "{run}");
        assert_eq!(ran(&gate.0, "read_disk"), 2);
        assert_eq!(run.duration(), patience + 2 * millis(100));
    }
}

#[tokio::test]
async fn a_thread_that_hangs_is_warned_of_once() {
    let (engine, clock) = patient_by_hand(millis(50)).await;
    let lines = Lines::default();
    let gate = Gate::new("hung");
    let _logging = tracing::subscriber::set_default(lines.clone());
    let run = archive.on(&engine).run(Reader::Twice).execution_id(&gate.0);
    let time = async {
        until_ran(&gate.0, "read_twice", 1).await;
        pass_to_next(&clock, millis(50)).await;
        pass_to_next(&clock, millis(2)).await;
        pass_to_next(&clock, millis(49)).await;
    };
    let (run, ()) = tokio::join!(run.into_future(), time);
    assert!(run.unwrap().has_succeeded());
    clock.pass(LONG);
    settle().await;
    assert_eq!(lines.having("its thread has not returned"), 1);
    assert_eq!(lines.having("WARN"), 1);
}

/// A body that waits for a free thread has not begun; when its time is up, it never does.
#[test]
fn a_body_whose_time_is_up_before_a_thread_is_free_never_begins() {
    let runtime = tokio::runtime::Builder::new_multi_thread();
    let runtime = { runtime }
        .worker_threads(2)
        .max_blocking_threads(1)
        .enable_all()
        .build();
    runtime.unwrap().block_on(async {
        let (engine, clock) = patient_by_hand(LONG).await;
        let (gate, late) = (Gate::new("hung"), Gate::new("late"));
        let occupied = archive.on(&engine).run(Reader::Disk).execution_id(&gate.0);
        let time = async {
            until_ran(&gate.0, "read_disk", 1).await;
            pass_to_next(&clock, millis(100)).await;
        };
        let (occupied, ()) = tokio::join!(occupied.into_future(), time);
        assert!(occupied.unwrap().has_failed());
        let run = archive.on(&engine).run(Reader::Disk).execution_id(&late.0);
        let (run, ()) = tokio::join!(run.into_future(), pass_to_next(&clock, millis(100)));
        assert!(run.unwrap().has_failed());
        drop(gate);
        tokio::task::spawn_blocking(|| {}).await.unwrap();
        assert_eq!(ran(&late.0, "read_disk"), 0);
    });
}
