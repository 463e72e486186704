//! Queues: who goes first, who is kept out, and how many at once.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{LazyLock, Mutex};
use std::time::{Duration, SystemTime};

use flux::time::{hours, secs};
use flux::{
    Engine, Error, Execution, ExecutionContext, ExecutionId, Handle, OnEngine, Status, TaskError,
    task, workflow,
};
use futures::future::join_all;
use serde::{Deserialize, Serialize};
use tokio::sync::watch;

use crate::support::{HandClock, Shelf, asleep, dies_in, most_at_once, spend_in, unique, utc};

/// One job on a desk, which is another for each test.
#[derive(Clone, Serialize, Deserialize)]
struct Job {
    desk: String,
    number: u32,
    customer: Customer,
}

#[derive(Clone, Serialize, Deserialize)]
struct Customer {
    name: String,
}

fn job(desk: &ExecutionId, number: u32) -> Job {
    of_customer(desk, "any", number)
}

fn of_customer(desk: &ExecutionId, name: &str, number: u32) -> Job {
    let customer = Customer {
        name: name.to_owned(),
    };
    let desk = desk.to_string();
    Job {
        desk,
        number,
        customer,
    }
}

/// The jobs whose bodies have begun, by desk and in order.
static BEGUN: LazyLock<Mutex<BTreeMap<String, Vec<u32>>>> = LazyLock::new(Mutex::default);

fn begun(desk: &ExecutionId) -> Vec<u32> {
    let begun = BEGUN.lock().unwrap();
    begun.get(desk.as_str()).cloned().unwrap_or_default()
}

fn note(job: &Job) {
    let mut begun = BEGUN.lock().unwrap();
    begun.entry(job.desk.clone()).or_default().push(job.number);
}

#[task]
async fn do_job(job: Job) -> u32 {
    note(&job);
    spend_in(&job.desk, Duration::from_millis(2)).await;
    job.number
}

#[workflow]
async fn do_jobs(ctx: ExecutionContext<Job>) -> Result<u32, TaskError> {
    do_job(ctx.input().clone()).await
}

/// The desks whose long jobs may end.
static DONE: LazyLock<watch::Sender<BTreeSet<String>>> = LazyLock::new(watch::Sender::default);

fn let_end(desk: &ExecutionId) {
    DONE.send_modify(|done| {
        done.insert(desk.to_string());
    });
}

#[task]
async fn do_long_job(job: Job) -> u32 {
    crate::support::begin();
    note(&job);
    let mut done = DONE.subscribe();
    done.wait_for(|done| done.contains(&job.desk))
        .await
        .unwrap();
    job.number
}

#[workflow]
async fn do_long_jobs(ctx: ExecutionContext<Job>) -> Result<u32, TaskError> {
    do_long_job(ctx.input().clone()).await
}

/// Waits for a signal, in memory or not.
#[workflow]
async fn do_when_told(ctx: ExecutionContext<Job>) -> Result<u32, TaskError> {
    do_job(ctx.input().clone()).await?;
    flux::signal::<()>("done").await;
    Ok(ctx.input().number)
}

async fn end(handle: &Handle<u32>) {
    handle.signal("done", &()).await.unwrap();
    let _ = handle.wait().await.unwrap();
}

async fn wait_all(handles: Vec<Handle<u32>>) -> Vec<Execution<u32>> {
    let runs = join_all(handles.iter().map(Handle::wait)).await;
    let runs: Vec<_> = runs.into_iter().map(Result::unwrap).collect();
    assert!(runs.iter().all(Execution::has_succeeded), "{runs:?}");
    runs
}

/// Waits until so many of a queue run and so many wait, and a worker has looked once more: it leaves them so.
async fn stays(engine: &Engine, queue: &str, running: u64, pending: u64) {
    let now = async || {
        let queue = engine.queue(queue).info().await.unwrap();
        (queue.running, queue.pending)
    };
    while now().await != (running, pending) {
        tokio::task::yield_now().await;
    }
    // It is taken by a round that could have taken of this queue, too.
    let other = job(&unique("other"), 0);
    let other = do_jobs.on(engine).start(other).queue("others");
    let _ = other.await.unwrap().wait().await.unwrap();
    assert_eq!(now().await, (running, pending));
}

#[workflow]
async fn refuse(_ctx: ExecutionContext) -> Result<(), String> {
    Err("no".to_owned())
}

/// Nothing of its history counts but the event that put it into the queue.
#[tokio::test]
async fn what_left_its_queue_and_failed_at_once_can_be_resumed() {
    for shelf in Shelf::each().await {
        let engine = shelf.engine().await;
        let failed = refuse.on(&engine).run(()).queue("own").await.unwrap();
        assert!(failed.has_failed());
        let again = refuse.on(&engine).resume(failed.execution_id()).await;
        let again = again.unwrap();
        assert_eq!(again.failure().unwrap().message(), "no");
        assert_eq!(
            again.events().await.unwrap(),
            failed.events().await.unwrap()
        );
    }
}

#[tokio::test]
async fn a_higher_priority_goes_first_and_then_the_older() {
    for shelf in Shelf::every_way().await {
        let engine = shelf.engine().await;
        let desk = unique("desk");
        engine.queue("jobs").concurrency(1).await.unwrap();
        let mut handles = Vec::new();
        for (number, priority) in [(1, 0), (2, 5), (3, -1), (4, 5), (5, 0), (6, 9)] {
            let start = do_jobs
                .on(&engine)
                .start(job(&desk, number))
                .queue("jobs")
                .priority(priority);
            handles.push(start.await.unwrap());
        }
        let worker = engine.worker().spawn();
        wait_all(handles).await;
        assert_eq!(begun(&desk), [6, 2, 4, 1, 5, 3]);
        worker.stop().await;
    }
}

#[tokio::test]
async fn one_that_comes_later_overtakes_those_that_still_wait() {
    for shelf in Shelf::every_way().await {
        let engine = shelf.engine().await;
        let desk = unique("desk");
        engine.queue("jobs").concurrency(1).await.unwrap();
        let worker = engine.worker().spawn();
        let on = do_when_told.on(&engine);
        let start = |number, priority| {
            on.start(job(&desk, number))
                .queue("jobs")
                .priority(priority)
        };
        let first = start(1, 0).await.unwrap();
        let others = [start(2, 0).await.unwrap(), start(3, 0).await.unwrap()];
        stays(&engine, "jobs", 1, 2).await;
        let urgent = start(4, 1).await.unwrap();
        for handle in [&first, &urgent, &others[0], &others[1]] {
            end(handle).await;
        }
        assert_eq!(begun(&desk), [1, 4, 2, 3]);
        worker.stop().await;
    }
}

async fn start_deduped(on: &OnEngine<Job, u32>, desk: &ExecutionId, queue: &str) -> Handle<u32> {
    let start = on.start(job(desk, 1)).queue(queue).dedup("report-7");
    start.await.unwrap()
}

#[tokio::test]
async fn a_key_starts_one_at_a_time_and_is_free_again_at_its_end() {
    for shelf in Shelf::every_way().await {
        let engine = shelf.engine().await;
        let desk = unique("desk");
        let on = do_when_told.on(&engine);
        let first = start_deduped(&on, &desk, "jobs").await;
        // While it waits, and while it runs.
        for worker in [None, Some(engine.worker().spawn())] {
            let again = start_deduped(&on, &desk, "jobs").await;
            assert_eq!(again.execution_id(), first.execution_id());
            let strict = on.start(job(&desk, 2)).queue("jobs").dedup("report-7");
            match strict.refuse_duplicate().await {
                Err(Error::Duplicate { id, key }) => {
                    assert_eq!((&id, &*key), (first.execution_id(), "report-7"));
                }
                other => panic!("{other:?}"),
            }
            let Some(worker) = worker else { continue };
            stays(&engine, "jobs", 1, 0).await;
            // The key counts in its queue.
            let elsewhere = start_deduped(&on, &desk, "letters").await;
            assert_ne!(elsewhere.execution_id(), first.execution_id());
            end(&elsewhere).await;
            end(&first).await;
            let next = start_deduped(&on, &desk, "jobs").await;
            assert_ne!(next.execution_id(), first.execution_id());
            end(&next).await;
            worker.stop().await;
        }
    }
}

#[tokio::test]
async fn of_many_starts_with_one_key_at_once_one_execution_comes() {
    for shelf in Shelf::every_way().await {
        let engines = [shelf.engine().await, shelf.engine().await];
        let desk = unique("desk");
        let starts = (0..10).map(async |i| {
            let on = do_jobs.on(&engines[i % 2]);
            let start = on.start(job(&desk, 1)).queue("jobs").dedup("k").await;
            start.unwrap().execution_id().clone()
        });
        let ids: BTreeSet<_> = join_all(starts).await.into_iter().collect();
        assert_eq!(ids.len(), 1);
        assert_eq!(engines[0].list().await.unwrap().len(), 1);
    }
}

#[tokio::test]
async fn partitions_take_turns_however_much_one_of_them_has() {
    for shelf in Shelf::every_way().await {
        let engine = shelf.engine().await;
        let desk = unique("desk");
        let queue = engine.queue("jobs").partition_by_key("customer.name");
        queue.concurrency(1).await.unwrap();
        let mut handles = Vec::new();
        // The second of a customer is the more urgent, which counts among its own alone.
        let few = [("b", 1), ("b", 2), ("c", 1), ("c", 2)];
        for (name, number) in (1..=9).map(|number| ("a", number)).chain(few) {
            let tens = u32::from(name.as_bytes()[0] - b'a') * 10;
            let start = do_jobs
                .on(&engine)
                .start(of_customer(&desk, name, tens + number))
                .queue("jobs")
                .priority(i32::from(number == 2));
            handles.push(start.await.unwrap());
        }
        let worker = engine.worker().spawn();
        wait_all(handles).await;
        let wanted = [2, 12, 22, 1, 11, 21, 3, 4, 5, 6, 7, 8, 9];
        assert_eq!(begun(&desk), wanted);
        worker.stop().await;
    }
}

#[tokio::test]
async fn limits_hold_from_the_moment_they_are_changed() {
    for shelf in Shelf::every_way().await {
        let engine = shelf.engine().await;
        let desk = unique("desk");
        engine.queue("jobs").concurrency(1).await.unwrap();
        let worker = engine.worker().spawn();
        let mut handles = Vec::new();
        for number in 1..=6 {
            let start = do_when_told.on(&engine).start(job(&desk, number));
            handles.push(start.queue("jobs").await.unwrap());
        }
        stays(&engine, "jobs", 1, 5).await;
        engine.queue("jobs").concurrency(3).await.unwrap();
        stays(&engine, "jobs", 3, 3).await;
        // Fewer than run already: those go on, and nothing new is begun until there is room.
        engine.queue("jobs").concurrency(2).await.unwrap();
        end(&handles[0]).await;
        stays(&engine, "jobs", 2, 3).await;
        end(&handles[1]).await;
        stays(&engine, "jobs", 2, 2).await;
        engine.queue("jobs").pause().await.unwrap();
        end(&handles[2]).await;
        stays(&engine, "jobs", 1, 2).await;
        engine.queue("jobs").resume().await.unwrap();
        engine.queue("jobs").concurrency(None).await.unwrap();
        stays(&engine, "jobs", 3, 0).await;
        for handle in &handles[3..] {
            end(handle).await;
        }
        // Those that start together begin in any order.
        let begun = begun(&desk);
        let together = [&begun[..1], &begun[1..3], &begun[3..]];
        let together = together.map(|group| group.iter().copied().collect::<BTreeSet<u32>>());
        assert_eq!(
            together,
            [&[1][..], &[2, 3], &[4, 5, 6]].map(|group| group.iter().copied().collect())
        );
        worker.stop().await;
    }
}

#[tokio::test]
async fn a_limit_that_starts_nothing_is_refused_and_changes_nothing() {
    for shelf in Shelf::every_way().await {
        let engine = shelf.engine().await;
        engine.queue("jobs").concurrency(3).await.unwrap();
        for refused in [
            engine.queue("jobs").concurrency(0),
            engine.queue("jobs").per_worker(0),
            engine.queue("jobs").concurrency(5).per_worker(0),
            engine.queue("jobs").rate("0/min"),
        ] {
            let error = refused.await.unwrap_err();
            assert!(matches!(error, Error::InvalidInput { .. }), "{error}");
            assert!(error.to_string().contains("`pause()`"), "{error}");
        }
        let settings = engine.queue("jobs").info().await.unwrap().settings;
        assert_eq!((settings.concurrency, settings.per_worker), (Some(3), None));
    }
}

#[tokio::test]
async fn a_worker_that_may_drive_nothing_is_refused() {
    let engine = Shelf::memory().engine().await;
    let worker = engine.worker().concurrency(0);
    let spawned = worker.clone();
    let error = worker.run_until(std::future::ready(())).await.unwrap_err();
    assert!(matches!(error, Error::InvalidInput { .. }), "{error}");
    let panicked = tokio::spawn(async move { spawned.spawn() }).await;
    assert!(panicked.unwrap_err().is_panic());
}

#[tokio::test]
async fn what_pauses_or_sleeps_keeps_its_place() {
    for shelf in Shelf::every_way().await {
        let builder = shelf.builder().idle_after(Duration::ZERO);
        let engine = builder.build().await.unwrap();
        let desk = unique("desk");
        engine.queue("jobs").concurrency(2).await.unwrap();
        let worker = engine.worker().spawn();
        let mut handles = Vec::new();
        for number in 1..=3 {
            let start = do_when_told.on(&engine).start(job(&desk, number));
            handles.push(start.queue("jobs").await.unwrap());
        }
        let _ = asleep(&engine, handles[0].execution_id()).await;
        engine.pause(handles[1].execution_id()).await.unwrap();
        assert!(handles[1].wait().await.unwrap().is_paused());
        stays(&engine, "jobs", 2, 1).await;
        handles[1].terminate("no longer wanted").await.unwrap();
        stays(&engine, "jobs", 2, 0).await;
        end(&handles[0]).await;
        end(&handles[2]).await;
        worker.stop().await;
    }
}

#[tokio::test]
async fn a_paused_queue_begins_nothing_and_what_has_begun_goes_on() {
    for shelf in Shelf::every_way().await {
        let builder = shelf.builder().idle_after(Duration::ZERO);
        let engine = builder.build().await.unwrap();
        let desk = unique("desk");
        let worker = engine.worker().spawn();
        let on = do_when_told.on(&engine);
        let first = on.start(job(&desk, 1)).queue("jobs").await.unwrap();
        let _ = asleep(&engine, first.execution_id()).await;
        engine.queue("jobs").pause().await.unwrap();
        let second = on.start(job(&desk, 2)).queue("jobs").await.unwrap();
        stays(&engine, "jobs", 1, 1).await;
        end(&first).await;
        stays(&engine, "jobs", 0, 1).await;
        // That is kept in the store.
        let other = shelf.engine().await;
        assert!(other.queue("jobs").info().await.unwrap().settings.is_paused);
        engine.queue("jobs").resume().await.unwrap();
        end(&second).await;
        worker.stop().await;
    }
}

#[tokio::test]
async fn a_delayed_start_keeps_nobody_waiting_and_begins_when_it_is_due() {
    for shelf in Shelf::every_way().await {
        let noon = utc("2024-01-01T12:00:00Z");
        let clock = HandClock::at(noon);
        let builder = shelf.builder().clock(clock.clone());
        let engine = builder.build().await.unwrap();
        let desk = unique("desk");
        engine.queue("jobs").concurrency(1).await.unwrap();
        let worker = engine.worker().spawn();
        let on = do_jobs.on(&engine);
        let late = on.start(job(&desk, 1)).queue("jobs").delay(hours(2));
        let late = late.priority(9).await.unwrap();
        let later = on.start_at(job(&desk, 2), noon + hours(3)).queue("jobs");
        let later = later.await.unwrap();
        let now = on.start(job(&desk, 3)).queue("jobs").await.unwrap();
        let _ = now.wait().await.unwrap();
        for (handle, due) in [(late, noon + hours(2)), (later, noon + hours(3))] {
            clock.until_awaited(due, due).await;
            clock.set(due - secs(1));
            let waiting = engine.get(handle.execution_id()).await.unwrap();
            assert_eq!(waiting.status(), Status::Pending);
            assert_eq!(waiting.ready_at(), Some(due));
            clock.set(due);
            let _ = handle.wait().await.unwrap();
        }
        assert_eq!(begun(&desk), [3, 1, 2]);
        worker.stop().await;
    }
}

#[tokio::test]
async fn no_worker_drives_more_of_a_queue_than_it_says() {
    for shelf in Shelf::every_way().await {
        let engines = [shelf.engine().await, shelf.engine().await];
        let desk = unique("desk");
        engines[0].queue("jobs").per_worker(2).await.unwrap();
        let mut handles = Vec::new();
        for number in 1..=6 {
            let start = do_long_jobs.on(&engines[0]).start(job(&desk, number));
            handles.push(start.queue("jobs").await.unwrap());
        }
        let workers = engines.each_ref().map(|engine| engine.worker().spawn());
        stays(&engines[0], "jobs", 4, 2).await;
        let running = engines[0].list().queue("jobs").status(Status::Running);
        let mut owners = BTreeMap::new();
        for run in running.await.unwrap() {
            *owners.entry(run.worker().unwrap()).or_insert(0) += 1;
        }
        assert_eq!(owners.into_values().collect::<Vec<_>>(), [2, 2]);
        let_end(&desk);
        wait_all(handles).await;
        for worker in workers {
            worker.stop().await;
        }
    }
}

#[tokio::test]
async fn a_limit_holds_for_all_workers_together() {
    for shelf in Shelf::every_way().await {
        let engines = [shelf.engine().await, shelf.engine().await];
        let desk = unique("desk");
        engines[0].queue("jobs").concurrency(3).await.unwrap();
        let workers = engines.each_ref().map(|engine| engine.worker().spawn());
        let mut handles = Vec::new();
        for number in 1..=20 {
            let start = do_jobs.on(&engines[0]).start(job(&desk, number));
            handles.push(start.queue("jobs").await.unwrap());
        }
        wait_all(handles).await;
        let most = most_at_once(desk.as_str());
        assert!((1..=3).contains(&most), "{most}");
        for worker in workers {
            worker.stop().await;
        }
    }
}

#[tokio::test]
async fn what_died_keeps_its_place_until_somebody_has_finished_it() {
    for shelf in Shelf::every_way().await {
        let desk = unique("desk");
        let dead = shelf.engine().await;
        dead.queue("jobs").concurrency(1).await.unwrap();
        let id = unique("victim");
        let run = do_long_jobs.on(&dead).run(job(&desk, 1)).queue("jobs");
        dies_in(run.execution_id(&id), &id, "do_long_job").await;
        drop(dead);
        shelf.nobody_is_left().await;
        let engine = shelf.engine().await;
        let next = do_jobs.on(&engine).start(job(&desk, 2)).queue("jobs");
        let next = next.await.unwrap();
        let worker = engine.worker().spawn();
        while begun(&desk).len() < 2 {
            tokio::task::yield_now().await;
        }
        stays(&engine, "jobs", 1, 1).await;
        let_end(&desk);
        let _ = next.wait().await.unwrap();
        assert_eq!(begun(&desk), [1, 1, 2], "taken over first");
        worker.stop().await;
    }
}

/// The seconds after `from` at which executions started.
fn seconds(runs: &[Execution<u32>], from: SystemTime) -> Vec<u64> {
    let since = |run: &Execution<u32>| run.started_at().unwrap().duration_since(from);
    runs.iter()
        .map(|run| since(run).unwrap().as_secs())
        .collect()
}

/// Three in any minute: not three in each minute of the clock, and not three at once every minute.
#[tokio::test]
async fn a_rate_counts_starts_in_any_span() {
    for shelf in Shelf::every_way().await {
        let from = utc("2024-01-01T12:00:40Z");
        let clock = HandClock::at(from);
        let engine = || shelf.builder().clock(clock.clone());
        let first = engine().build().await.unwrap();
        let desk = unique("desk");
        first.queue("jobs").rate("3/min").await.unwrap();
        let worker = first.worker().spawn();
        let start = |number| do_jobs.on(&first).start(job(&desk, number)).queue("jobs");
        let mut handles = vec![start(1).await.unwrap(), start(2).await.unwrap()];
        for handle in &handles {
            let _ = handle.wait().await.unwrap();
        }
        clock.pass(secs(15));
        for number in 3..=8 {
            handles.push(start(number).await.unwrap());
        }
        let _ = handles[2].wait().await.unwrap();
        stays(&first, "jobs", 0, 5).await;
        // It is kept in the store: a restart does not help.
        worker.stop().await;
        let second = engine().build().await.unwrap();
        let worker = second.worker().spawn();
        // Past the full minute, up to just before the first two count no more.
        let next = clock.until_awaited(from + secs(60), from + secs(61)).await;
        clock.set(next - secs(5));
        stays(&second, "jobs", 0, 5).await;
        clock.set(next);
        let _ = handles[4].wait().await.unwrap();
        stays(&second, "jobs", 0, 3).await;
        for (left, after) in [(2, 75), (0, 120)] {
            let next = clock.until_awaited(from + secs(after), from + secs(after + 1));
            clock.set(next.await);
            stays(&second, "jobs", 0, left).await;
        }
        let runs = wait_all(handles).await;
        assert_eq!(seconds(&runs, from), [0, 0, 15, 60, 60, 75, 120, 120]);
        // Bodies of what starts at one moment may run in any order.
        let mut each_once = begun(&desk);
        each_once.sort_unstable();
        assert_eq!(each_once, [1, 2, 3, 4, 5, 6, 7, 8]);
        second.queue("jobs").any_rate().await.unwrap();
        for number in 9..20 {
            let start = do_jobs.on(&second).start(job(&desk, number));
            let _ = start.queue("jobs").await.unwrap().wait().await.unwrap();
        }
        worker.stop().await;
    }
}

#[workflow(queue = "parcels")]
async fn do_parcels(ctx: ExecutionContext<Job>) -> Result<u32, TaskError> {
    do_job(ctx.input().clone()).await
}

#[tokio::test]
async fn a_worker_serves_the_queues_it_is_told_and_what_is_in_none() {
    for shelf in Shelf::every_way().await {
        let engine = shelf.engine().await;
        let desk = unique("desk");
        let parcel = do_parcels.on(&engine).start(job(&desk, 1)).await.unwrap();
        let letters = engine.worker().queue("letters").queue("others").spawn();
        let on = do_jobs.on(&engine);
        let letter = on.start(job(&desk, 2)).queue("letters").await.unwrap();
        let _ = letter.wait().await.unwrap();
        let none = on.start(job(&desk, 3)).delay(Duration::from_millis(1));
        let _ = none.await.unwrap().wait().await.unwrap();
        stays(&engine, "parcels", 0, 1).await;
        letters.stop().await;
        let parcels = engine.worker().queue("parcels").spawn();
        let _ = parcel.wait().await.unwrap();
        assert_eq!(begun(&desk), [2, 3, 1]);
        parcels.stop().await;
    }
}
