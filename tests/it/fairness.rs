//! Limits and handing over among real processes on one file, some of them killed or stopped. What is checked is checked
//! against the histories.
//!
//! `FLUX_SOAK=1` does ten thousand jobs instead of some hundred.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::{Duration, Instant, SystemTime};

use flux::clock::Timestamp;
use flux::{
    Engine, Error, Event, EventKind, ExecutionContext, ExecutionId, Status, TaskError,
    TaskErrorKind, task, workflow,
};
use futures::future::join_all;

use crate::support::process::{self, Process, store_in};
use crate::support::{Greeter, asleep};

const CONCURRENCY: usize = 10;
const PER_WORKER: usize = 4;
const WORKERS: usize = 4;
const URGENT: i32 = 9;
/// So many starts in any span of this length.
const RATE: (usize, Duration) = (120, Duration::from_millis(500));

/// The process that did a job, and when it began.
#[task]
async fn toil(number: u64) -> (u32, Timestamp) {
    let began = SystemTime::now().into();
    tokio::time::sleep(Duration::from_millis(number % 8)).await;
    (std::process::id(), began)
}

#[workflow]
async fn toil_once(ctx: ExecutionContext<u64>) -> Result<(u32, Timestamp), TaskError> {
    toil(*ctx.input()).await
}

/// Whether the next process that comes by is to die.
fn is_poisoned() -> bool {
    process::role().is_some() && process::folder().join("poison").exists()
}

#[workflow]
async fn die_in_code(_ctx: ExecutionContext) -> u32 {
    if is_poisoned() {
        std::process::abort();
    }
    7
}

#[task]
async fn die_here() -> u32 {
    if is_poisoned() {
        std::process::abort();
    }
    7
}

#[workflow]
async fn die_in_body(_ctx: ExecutionContext) -> Result<u32, TaskError> {
    die_here().await
}

/// The first try waits until the test says so; it is the one that is killed or stopped.
#[task]
async fn linger() -> u32 {
    if flux::task_context().unwrap().attempt() == 1 {
        println!("> begun");
        while !process::folder().join("go").exists() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
    std::process::id()
}

#[workflow]
async fn linger_and_wait(_ctx: ExecutionContext) -> Result<u32, TaskError> {
    let process = linger().await?;
    flux::signal::<()>("end").await;
    Ok(process)
}

#[workflow]
async fn hear_pings(ctx: ExecutionContext<u32>) {
    for _ in 0..*ctx.input() {
        flux::signal::<()>("ping").await;
    }
}

/// What the other processes do.
#[tokio::test]
async fn as_another_process() {
    let Some(role) = process::role() else {
        return;
    };
    let builder = Engine::builder().sqlite(store_in(&process::folder()));
    let builder = builder.idle_after(Duration::ZERO);
    // Where workers are killed at random, a job may lose several in a row without it being the job's fault.
    let builder = builder.max_recoveries(if role == "recover" { 2 } else { 1000 });
    let builder = builder.stall_after(Duration::from_millis(400));
    let engine = builder.state(Greeter { word: "hello" }).await.unwrap();
    match &*role {
        "work" | "recover" => {
            println!("> ready");
            let worker = engine.worker().run_until(flux::shutdown_signal());
            worker.await.unwrap();
        }
        "drive" => {
            let run = linger_and_wait.on(&engine).run(()).execution_id("it");
            match run.await {
                Err(Error::TakenOver { .. }) => println!("> taken over"),
                other => println!("> {other:?}"),
            }
        }
        other => panic!("{other}"),
    }
}

fn start(folder: &Path, role: &str) -> Process {
    Process::start("fairness::as_another_process", role, folder)
}

fn worker(folder: &Path) -> Process {
    worker_in(folder, "work")
}

fn worker_in(folder: &Path, role: &str) -> Process {
    let mut worker = start(folder, role);
    assert_eq!(worker.says(), "ready");
    worker
}

/// Longer than anything here takes, also on a machine that is busy with other things.
const PATIENCE: Duration = Duration::from_mins(3);

/// Looks again and again, until its patience is at an end.
async fn until<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let began = Instant::now();
    loop {
        if let Some(found) = look().await {
            return found;
        }
        assert!(began.elapsed() < PATIENCE, "{what}");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

/// A job as its history tells of it.
#[derive(Clone, Debug)]
struct Job {
    priority: i32,
    /// Its place among all jobs by age.
    age: usize,
    started: Timestamp,
    ended: Timestamp,
    process: u32,
    began: Timestamp,
    interruptions: usize,
}

impl Job {
    fn read(age: usize, priority: i32, events: &[Event]) -> Self {
        let all = |kind| events.iter().filter(move |event| event.kind == kind);
        let one = |kind| {
            assert_eq!(all(kind).count(), 1, "{kind} in {events:?}");
            all(kind).next().unwrap()
        };
        for (event, number) in events.iter().zip(1..) {
            assert_eq!(event.seq.get(), number);
        }
        let ended = one(EventKind::WorkflowCompleted);
        assert_eq!(Some(ended), events.last());
        let output = one(EventKind::TaskCompleted).payload.as_ref().unwrap();
        let (process, began) = output.decode().unwrap();
        Self {
            priority,
            age,
            started: one(EventKind::WorkflowStarted).at,
            ended: ended.at,
            process,
            began,
            interruptions: all(EventKind::TaskInterrupted).count(),
        }
    }
}

/// How many of these spans overlap at most. One that begins when another ends does not overlap it.
fn most_at_once(spans: impl Iterator<Item = (Timestamp, Timestamp)>) -> i32 {
    let mut changes: Vec<_> = spans.flat_map(|(from, to)| [(from, 1), (to, -1)]).collect();
    changes.sort();
    let sums = changes.iter().scan(0, |sum, (_, change)| {
        *sum += change;
        Some(*sum)
    });
    sums.max().unwrap_or(0)
}

async fn jobs_of(engine: &Engine) -> Vec<Job> {
    let mut runs = engine.list().queue("jobs").limit(usize::MAX).await.unwrap();
    runs.reverse();
    let mut jobs = Vec::new();
    for (age, run) in runs.iter().enumerate() {
        let events = run.events().await.unwrap();
        jobs.push(Job::read(age, run.priority(), &events));
    }
    jobs
}

/// Of those that waited from the beginning, none starts before one that is more urgent or, of the same priority, older.
fn check_order(jobs: &[Job], urgent_since: Timestamp) {
    let (urgent, mut waiting): (Vec<_>, Vec<_>) =
        jobs.iter().partition(|job| job.priority == URGENT);
    let rank = |job: &&Job| (-job.priority, job.age);
    waiting.sort_by_key(|job| (job.started, rank(job)));
    for pair in waiting.windows(2) {
        assert!(rank(&pair[0]) < rank(&pair[1]), "out of order: {pair:?}");
    }
    // From the moment in which the urgent ones are there, none of the others goes before them.
    let last = urgent.iter().map(|job| job.started).max().unwrap();
    for job in waiting {
        assert!(job.started < urgent_since || job.started >= last, "{job:?}");
    }
}

async fn do_jobs(count: u64) {
    let folder = tempfile::tempdir().unwrap();
    let engine = Engine::open(store_in(folder.path())).await.unwrap();
    let queue = engine.queue("jobs").concurrency(CONCURRENCY as u32);
    let rate = format!("{}/{}ms", RATE.0, RATE.1.as_millis());
    let queue = queue.per_worker(PER_WORKER as u32).rate(&rate);
    queue.await.unwrap();
    engine.queue("jobs").pause().await.unwrap();
    let put = |number: u64, priority: i32| {
        let start = toil_once.on(&engine).start(number).queue("jobs");
        start.priority(priority)
    };
    let starts = (0..count).map(|number| put(number, (number % 4) as i32));
    for start in join_all(starts).await {
        start.unwrap();
    }
    let mut workers: Vec<_> = (0..WORKERS).map(|_| worker(folder.path())).collect();
    engine.queue("jobs").resume().await.unwrap();
    let began = Instant::now();
    let mut kills = 0;
    let mut urgent_since = None;
    loop {
        let queue = engine.queue("jobs").info().await.unwrap();
        if queue.pending + queue.running == 0 {
            break;
        }
        if urgent_since.is_none() && queue.pending < count / 2 {
            for start in join_all((0..20).map(|number| put(number, URGENT))).await {
                start.unwrap();
            }
            urgent_since = Some(SystemTime::now().into());
        }
        tokio::time::sleep(Duration::from_millis(fastrand::u64(100..500))).await;
        // The new one is at work before the old one is killed.
        workers[fastrand::usize(..WORKERS)] = worker(folder.path());
        kills += 1;
        let limit = PATIENCE + Duration::from_millis(20 * count);
        assert!(began.elapsed() < limit, "stuck: {queue:?}");
    }
    let took = began.elapsed();
    drop(workers);

    let jobs = jobs_of(&engine).await;
    assert_eq!(jobs.len() as u64, count + 20);
    let started_to_ended = jobs.iter().map(|job| (job.started, job.ended));
    let most = most_at_once(started_to_ended);
    assert!(most <= CONCURRENCY as i32, "{most} at once");
    let processes: BTreeSet<u32> = jobs.iter().map(|job| job.process).collect();
    for process in &processes {
        let own = jobs.iter().filter(|job| job.process == *process);
        let most = most_at_once(own.map(|job| (job.began, job.ended)));
        assert!(most <= PER_WORKER as i32, "{most} at once in one process");
    }
    let mut starts: Vec<_> = jobs.iter().map(|job| job.started).collect();
    starts.sort();
    for span in starts.windows(RATE.0 + 1) {
        let (first, last) = (span[0], span[RATE.0]);
        assert!(last.since(first) >= RATE.1, "{first} to {last}");
    }
    check_order(&jobs, urgent_since.unwrap());
    let interruptions: usize = jobs.iter().map(|job| job.interruptions).sum();
    println!(
        "{} jobs in {took:.1?}, {most} at once, by {} processes, {kills} of them killed, {interruptions} bodies cut off",
        jobs.len(),
        processes.len()
    );
}

#[tokio::test]
async fn limits_hold_over_processes_that_are_killed() {
    let is_long = std::env::var_os("FLUX_SOAK").is_some();
    do_jobs(if is_long { 10_000 } else { 700 }).await;
}

#[tokio::test]
async fn a_signal_of_one_process_wakes_what_sleeps_in_another() {
    const PINGS: u32 = 20;
    let folder = tempfile::tempdir().unwrap();
    let engine = Engine::open(store_in(folder.path())).await.unwrap();
    let _worker = worker(folder.path());
    let start = hear_pings.on(&engine).start(PINGS).queue("pings");
    let handle = start.await.unwrap();
    let id = handle.execution_id();
    let mut waits = Vec::new();
    for ping in 1..=PINGS as usize {
        until("it does not wait", async || {
            let run = asleep(&engine, id).await;
            (!run.awaited_signals().is_empty()).then_some(())
        })
        .await;
        let sent = Timestamp::from(SystemTime::now());
        handle.signal("ping", &()).await.unwrap();
        let heard = until("it was not woken", async || {
            let events = engine.history(id).await.unwrap();
            let received = EventKind::SignalReceived;
            let mut heard = events.iter().filter(|event| event.kind == received);
            heard.nth(ping - 1).map(|event| event.at)
        });
        waits.push(heard.await.since(sent));
    }
    assert!(handle.wait().await.unwrap().has_succeeded());
    waits.sort();
    println!(
        "a signal wakes another process's execution after {:.1?} (median), {:.1?} (longest)",
        waits[waits.len() / 2],
        waits.last().unwrap()
    );
}

/// Waits until an event of this kind is in a history; when it happened.
async fn happens(engine: &Engine, id: &ExecutionId, kind: EventKind) -> Timestamp {
    until(kind.as_str(), async || {
        let events = engine.history(id).await.unwrap_or_default();
        let event = events.iter().find(|event| event.kind == kind);
        event.map(|event| event.at)
    })
    .await
}

/// Waits until a worker has done a job, and rests again.
async fn is_at_work(engine: &Engine, worker: &Process) {
    loop {
        let job = toil_once.on(engine).start(0).queue("jobs");
        let done = job.await.unwrap().wait().await.unwrap();
        if done.output().unwrap().0 == worker.id() {
            return;
        }
    }
}

#[tokio::test]
async fn what_a_killed_process_drove_is_handed_over() {
    let folder = tempfile::tempdir().unwrap();
    let engine = Engine::open(store_in(folder.path())).await.unwrap();
    let mut waits = Vec::new();
    for _ in 0..3 {
        let mut victim = worker(folder.path());
        let start = linger_and_wait.on(&engine).start(()).queue("work");
        let handle = start.await.unwrap();
        let id = handle.execution_id();
        assert_eq!(victim.says(), "begun");
        let heir = worker(folder.path());
        is_at_work(&engine, &heir).await;
        let killed = Timestamp::from(SystemTime::now());
        victim.kill();
        let taken = happens(&engine, id, EventKind::TaskInterrupted).await;
        waits.push(taken.since(killed));
        handle.signal("end", &()).await.unwrap();
        let run = handle.wait().await.unwrap();
        assert_eq!(run.output(), Some(&heir.id()));
    }
    println!("a killed process's executions are taken over after {waits:.0?}");
}

/// PITFALL: a heartbeat alone lets a process that was stopped go on with what is another's by now.
#[tokio::test]
async fn an_owner_that_was_stopped_writes_nothing_once_it_has_lost_its_execution() {
    let folder = tempfile::tempdir().unwrap();
    let engine = Engine::open(store_in(folder.path())).await.unwrap();
    let id = ExecutionId::from("it");
    let mut stopped = start(folder.path(), "drive");
    assert_eq!(stopped.says(), "begun");
    let heir = worker(folder.path());
    let began = Instant::now();
    // It may be stopped in the middle of a write, and then holds the file's lock: it is stopped again.
    loop {
        stopped.send("STOP");
        let taken = happens(&engine, &id, EventKind::TaskCompleted);
        if tokio::time::timeout(Duration::from_secs(8), taken)
            .await
            .is_ok()
        {
            break;
        }
        stopped.send("CONT");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    println!(
        "a stopped process's execution is taken over after {:.0?}",
        began.elapsed()
    );
    let sleeper = asleep(&engine, &id).await;
    let before = engine.history(&id).await.unwrap();

    // Its body returns, and it wants to record that.
    std::fs::write(folder.path().join("go"), "").unwrap();
    stopped.send("CONT");
    assert_eq!(stopped.ends(), "taken over");
    assert_eq!(engine.history(&id).await.unwrap(), before);
    assert_eq!(engine.get(&id).await.unwrap().status(), sleeper.status());

    engine.signal(&id, "end", &()).await.unwrap();
    let run = linger_and_wait.on(&engine).run(()).execution_id(&id);
    assert_eq!(run.await.unwrap().output(), Some(&heir.id()));
    let history = engine.history(&id).await.unwrap();
    assert_eq!(history[..before.len()], before);
    let mut kinds = BTreeMap::new();
    for event in history {
        *kinds.entry(event.kind).or_insert(0) += 1;
    }
    assert_eq!(kinds[&EventKind::TaskInterrupted], 1);
    assert_eq!(kinds[&EventKind::TaskCompleted], 1);
}

/// Starts workers, one after another, until the execution neither runs nor waits; how many died of it.
async fn deaths_of(folder: &Path, engine: &Engine, id: &ExecutionId) -> usize {
    let mut deaths = 0;
    loop {
        let mut worker = worker_in(folder, "recover");
        let has_died = until("the execution is stuck", async || {
            let status = engine.get(id).await.unwrap().status();
            let goes_on = matches!(status, Status::Pending | Status::Running);
            let has_ended = worker.has_ended();
            (has_ended || !goes_on).then_some(has_ended)
        });
        if !has_died.await {
            return deaths;
        }
        deaths += 1;
    }
}

#[tokio::test]
async fn code_that_kills_its_process_is_put_on_hold_until_it_is_resumed() {
    let folder = tempfile::tempdir().unwrap();
    let engine = Engine::open(store_in(folder.path())).await.unwrap();
    let poison = folder.path().join("poison");
    std::fs::write(&poison, "").unwrap();
    let start = die_in_code.on(&engine).start(()).queue("work");
    let handle = start.await.unwrap();
    let id = handle.execution_id();
    // Once, and two recoveries.
    assert_eq!(deaths_of(folder.path(), &engine, id).await, 3);
    let held = handle.wait().await.unwrap();
    assert_eq!(held.status(), Status::Paused);
    assert!(held.held().unwrap().contains("3 times"), "{held}");
    assert!(held.pause_points().is_empty());

    std::fs::remove_file(poison).unwrap();
    let run = die_in_code.on(&engine).resume(id).await.unwrap();
    assert_eq!(run.output(), Some(&7));
    assert_eq!(run.held(), None);
}

#[tokio::test]
async fn a_body_that_kills_its_process_ends_with_an_unknown_outcome() {
    let folder = tempfile::tempdir().unwrap();
    let engine = Engine::open(store_in(folder.path())).await.unwrap();
    std::fs::write(folder.path().join("poison"), "").unwrap();
    let start = die_in_body.on(&engine).start(()).queue("work");
    let handle = start.await.unwrap();
    assert_eq!(
        deaths_of(folder.path(), &engine, handle.execution_id()).await,
        3
    );
    let run = handle.wait().await.unwrap();
    let failure = run.failure().unwrap();
    let kinds: Vec<_> = failure.escaped().iter().map(|call| call.kind).collect();
    assert_eq!(kinds, [TaskErrorKind::OutcomeUnknown]);
    assert_eq!(failure.task(), Some("die_here"));
}
