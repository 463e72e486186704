//! Clocks that jump: a machine that slept, a clock that is set back.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use flux::clock::{Clock, Timestamp};
use flux::store::{Message, MessageKind, SetBack};
use flux::time::{hours, mins, secs};
use flux::{
    Engine, EventKind, ExecutionContext, Handle, Status, TaskError, TaskErrorKind, task, workflow,
};
use futures::future::BoxFuture;

use crate::support::trip::{Mishap, Trip};
use crate::support::{HandClock, Shelf, asleep, begin, code_of, count, ran, set_code, utc};

/// The clock of a machine that sleeps now and then: tokio's timers stand still meanwhile.
#[derive(Clone, Debug, Default)]
struct Laptop {
    slept: Arc<AtomicU64>,
}

impl Laptop {
    /// The lid is closed for so long.
    fn sleeps(&self, span: Duration) {
        self.slept.fetch_add(span.as_secs(), Ordering::SeqCst);
    }
}

impl Clock for Laptop {
    fn now(&self) -> Timestamp {
        let slept = Duration::from_secs(self.slept.load(Ordering::SeqCst));
        Timestamp::from(SystemTime::now()).after(slept)
    }

    fn sleep_until(&self, moment: Timestamp) -> BoxFuture<'static, ()> {
        Box::pin(tokio::time::sleep(moment.since(self.now())))
    }
}

#[workflow]
async fn take_a_nap(ctx: ExecutionContext<u64>) {
    flux::sleep(secs(*ctx.input())).await;
}

#[workflow(queue = "clocks")]
async fn send_letter(_ctx: ExecutionContext<u32>) {}

#[workflow]
async fn count_sheep(_ctx: ExecutionContext<u32>) {}

#[task(timeout = "1h")]
async fn hang() {
    begin();
    std::future::pending::<()>().await;
}

#[workflow]
async fn hang_for_an_hour(_ctx: ExecutionContext) -> Option<TaskErrorKind> {
    let hung: Result<(), TaskError> = hang().await;
    hung.err().map(|error| error.kind())
}

#[workflow(deadline = "1h")]
async fn wait_an_hour_for_word(_ctx: ExecutionContext) -> u32 {
    flux::signal("word").await
}

/// Longer than this is for ever.
async fn soon<T>(what: impl Future<Output = T>) -> T {
    let done = tokio::time::timeout(secs(60), what).await;
    done.expect("it comes within seconds")
}

/// PITFALL: timers of the runtime do not run while the machine sleeps, so that nothing came for hours.
#[tokio::test]
async fn what_fell_due_while_the_machine_slept_comes_when_it_wakes_up() {
    for shelf in Shelf::each().await {
        let clock = Laptop::default();
        let builder = || shelf.builder().clock(clock.clone());
        let engine = builder().idle_after(Duration::from_millis(10));
        let engine = engine.build().await.unwrap();
        let worker = engine.worker().spawn();
        let sleeper = take_a_nap.on(&engine).start(3_600).await.unwrap();
        let _ = asleep(&engine, sleeper.execution_id()).await;
        let delayed = count_sheep.on(&engine).start(0).delay(hours(1));
        let delayed = delayed.await.unwrap();
        let hourly = engine.schedule("hourly", count_sheep, 0).every("1h");
        hourly.await.unwrap();
        let other = builder().build().await.unwrap();
        let in_memory = take_a_nap.on(&other).start(3_600).await.unwrap();
        let body = hang_for_an_hour.on(&other).start(()).await.unwrap();
        let alone = count_sheep.on(&other).start(0).delay(hours(1));
        let alone = alone.await.unwrap();
        while ran(body.execution_id(), "hang") == 0 {
            tokio::task::yield_now().await;
        }

        clock.sleeps(hours(8));

        assert!(soon(sleeper.wait()).await.unwrap().has_succeeded());
        assert!(soon(delayed.wait()).await.unwrap().has_succeeded());
        assert!(soon(in_memory.wait()).await.unwrap().has_succeeded());
        assert!(soon(alone.wait()).await.unwrap().has_succeeded());
        let body = soon(body.wait()).await.unwrap();
        assert_eq!(body.output(), Some(&Some(TaskErrorKind::TimedOut)));
        let fired = async || engine.list().schedule("hourly").await.unwrap();
        while fired().await.is_empty() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        worker.stop().await;
    }
}

const START: &str = "2024-01-02T03:00:00Z";

async fn engine_by(clock: &HandClock, shelf: &Shelf) -> Engine {
    let builder = shelf.builder().clock(clock.clone());
    let engine = builder.idle_after(Duration::ZERO).build().await;
    engine.unwrap()
}

fn now(clock: &HandClock) -> SystemTime {
    clock.now().into()
}

/// Waits until something waits for the end of so long a time from now; nothing waits for an earlier moment.
async fn waits_for(clock: &HandClock, span: Duration) {
    let now = now(clock);
    let next = now + Duration::from_micros(1);
    let awaited = soon(clock.until_awaited(next, now + span)).await;
    assert_eq!(awaited, now + span);
}

async fn assert_runs(handle: &Handle<()>) {
    assert_eq!(handle.status().await.unwrap(), Status::Running);
}

#[tokio::test]
async fn a_sleep_keeps_its_length_when_the_clock_is_set_back() {
    for shelf in Shelf::each().await {
        let clock = HandClock::at(utc(START));
        let engine = engine_by(&clock, &shelf).await;
        let handle = take_a_nap.on(&engine).start(10).await.unwrap();
        waits_for(&clock, secs(10)).await;
        clock.pass(secs(3));
        clock.set_back(hours(1));
        waits_for(&clock, secs(7)).await;
        clock.set_back(mins(1));
        waits_for(&clock, secs(7)).await;
        clock.pass(secs(7));
        assert!(soon(handle.wait()).await.unwrap().has_succeeded());
    }
}

/// PITFALL: a sleeper of a few seconds slept for an hour when the clock was put right by an hour.
#[tokio::test]
async fn what_sleeps_in_the_store_keeps_its_length_when_the_clock_is_set_back() {
    for shelf in Shelf::each().await {
        let clock = HandClock::at(utc(START));
        let engines = [
            engine_by(&clock, &shelf).await,
            engine_by(&clock, &shelf).await,
        ];
        let workers = engines.each_ref().map(|engine| engine.worker().spawn());
        let on = |n: usize| &engines[n];
        let sleeper = take_a_nap.on(on(0)).start(10).await.unwrap();
        let _ = asleep(on(0), sleeper.execution_id()).await;
        let delayed = count_sheep.on(on(1)).start(0).delay(secs(20));
        let delayed = delayed.await.unwrap();
        let moment = now(&clock) + secs(15);
        let at_a_moment = count_sheep.on(on(1)).start(0).at(moment);
        let at_a_moment = at_a_moment.await.unwrap();
        waits_for(&clock, secs(10)).await;

        clock.set_back(hours(1));
        waits_for(&clock, secs(10)).await;
        assert_runs(&sleeper).await;
        clock.pass(secs(10));
        assert!(soon(sleeper.wait()).await.unwrap().has_succeeded());
        waits_for(&clock, secs(10)).await;
        clock.pass(secs(10));
        assert!(soon(delayed.wait()).await.unwrap().has_succeeded());

        assert_eq!(at_a_moment.status().await.unwrap(), Status::Pending);
        clock.set(moment);
        assert!(soon(at_a_moment.wait()).await.unwrap().has_succeeded());
        for worker in workers {
            worker.stop().await;
        }
    }
}

/// PITFALL: an engine that had not seen the clock set back reckoned from the last event whenever it took an execution up,
/// so that a wait longer than executions stay in memory never ended.
#[tokio::test]
async fn a_sleep_ends_on_an_engine_that_has_not_seen_the_clock_set_back() {
    for shelf in Shelf::each().await {
        let clock = HandClock::at(utc(START));
        let engine = engine_by(&clock, &shelf).await;
        let worker = engine.worker().spawn();
        let sleeper = take_a_nap.on(&engine).start(10).await.unwrap();
        let id = sleeper.execution_id().clone();
        let _ = asleep(&engine, &id).await;
        worker.stop().await;
        drop((engine, sleeper));
        clock.set_back(hours(1));

        let engine = engine_by(&clock, &shelf).await;
        let worker = engine.worker().spawn();
        engine.signal(&id, "wake up", &()).await.unwrap();
        waits_for(&clock, secs(10)).await;
        let _ = asleep(&engine, &id).await;
        clock.pass(secs(10));
        let run = take_a_nap.on(&engine).run(10).execution_id(&id);
        assert!(soon(run).await.unwrap().has_succeeded());
        worker.stop().await;
    }
}

/// PITFALL: where every process that saw it died before it could tell the store, sleepers slept by the old clock.
#[tokio::test]
async fn sleepers_keep_their_length_when_all_who_saw_the_clock_set_back_have_died() {
    for shelf in Shelf::each().await {
        let clock = HandClock::at(utc(START));
        let engine = engine_by(&clock, &shelf).await;
        let worker = engine.worker().spawn();
        let sleeper = take_a_nap.on(&engine).start(10).await.unwrap();
        let sleeper = sleeper.execution_id().clone();
        let _ = asleep(&engine, &sleeper).await;
        let delayed = count_sheep.on(&engine).start(0).delay(secs(20));
        let delayed = delayed.await.unwrap().execution_id().clone();
        worker.stop().await;
        drop(engine);
        clock.set_back(hours(1));

        let engine = engine_by(&clock, &shelf).await;
        let worker = engine.worker().spawn();
        for id in [sleeper, delayed] {
            waits_for(&clock, secs(10)).await;
            clock.pass(secs(10));
            while !engine.get(&id).await.unwrap().has_succeeded() {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        }
        worker.stop().await;
    }
}

/// Takes until the code of its execution is set.
#[task]
async fn read_page() -> u32 {
    begin();
    let id = flux::task_context().unwrap().execution_id().clone();
    while code_of(&id) == 0 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    1
}

#[workflow]
async fn read_two_pages(_ctx: ExecutionContext) -> Result<u32, TaskError> {
    Ok(read_page().await? + read_page().await?)
}

/// PITFALL: what a stopping process left to others after the clock was set back was theirs at the time of its history, which
/// was ahead of the clock.
#[tokio::test]
async fn what_is_left_to_others_after_the_clock_was_set_back_is_taken_at_once() {
    for shelf in Shelf::each().await {
        let clock = HandClock::at(utc(START));
        let engine = engine_by(&clock, &shelf).await;
        let store = Trip::new(shelf.store(), None);
        let builder = shelf.builder().shared_store(Arc::clone(&store) as _);
        let other = builder.clock(clock.clone()).build().await.unwrap();
        let worker = other.worker().spawn();
        let handle = read_two_pages.on(&engine).start(()).await.unwrap();
        let id = handle.execution_id().clone();
        while ran(&id, "read_page") == 0 {
            tokio::task::yield_now().await;
        }
        clock.set_back(hours(1));
        // From here on the store shifts nothing any more.
        let told = async {
            while !store.calls().contains_key("clock_set_back") {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        };
        soon(told).await;
        let leave = async {
            for _ in 0..10 {
                tokio::task::yield_now().await;
            }
            set_code(&id, 1);
        };
        let (stopped, ()) = tokio::join!(engine.shutdown(secs(60)), leave);
        stopped.unwrap();
        // A store announces what other processes commit: this one is told by work of its own.
        drop(count_sheep.on(&other).start(0).for_worker().await.unwrap());
        let finished = async {
            while !other.get(&id).await.unwrap().has_succeeded() {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        };
        soon(finished).await;
        assert_eq!(count(&other, &id, EventKind::TaskDeferred).await, 1);
        worker.stop().await;
    }
}

#[workflow(queue = "beds", deadline = "1m")]
async fn nap_in_turn(ctx: ExecutionContext<u64>) {
    flux::sleep(secs(*ctx.input())).await;
}

#[workflow]
async fn send_to_bed(ctx: ExecutionContext<u64>) -> Result<(), TaskError> {
    flux::sleep(secs(1)).await;
    take_a_nap.call(*ctx.input()).await
}

/// PITFALL: the first driver of what waited for its turn, or was born by a parent, did not know that the history was ahead of
/// the clock: it slept by the old clock, and its deadline was over at once.
#[tokio::test]
async fn what_begins_after_the_clock_was_set_back_keeps_its_lengths() {
    for shelf in Shelf::each().await {
        let clock = HandClock::at(utc(START));
        let engine = engine_by(&clock, &shelf).await;
        let worker = engine.worker().spawn();
        engine.queue("beds").pause().await.unwrap();
        let queued = nap_in_turn.on(&engine).start(10).await.unwrap();
        let parent = send_to_bed.on(&engine).start(10).await.unwrap();
        waits_for(&clock, secs(1)).await;
        clock.set_back(hours(1));
        engine.queue("beds").resume().await.unwrap();
        waits_for(&clock, secs(1)).await;
        let _ = asleep(&engine, queued.execution_id()).await;
        clock.pass(secs(1));
        waits_for(&clock, secs(9)).await;
        clock.pass(secs(9));
        assert!(soon(queued.wait()).await.unwrap().has_succeeded());
        waits_for(&clock, secs(1)).await;
        clock.pass(secs(1));
        assert!(soon(parent.wait()).await.unwrap().has_succeeded());
        worker.stop().await;
    }
}

/// PITFALL: what a child said had the time of its history, which was ahead of the clock: its parent, who slept, was to be woken
/// only then.
#[tokio::test]
async fn a_message_has_the_time_of_the_clock_after_it_was_set_back() {
    for shelf in Shelf::each().await {
        let clock = HandClock::at(utc(START));
        let engine = engine_by(&clock, &shelf).await;
        let worker = engine.worker().spawn();
        let parent = send_to_bed.on(&engine).start(10).await.unwrap();
        waits_for(&clock, secs(1)).await;
        clock.set_back(hours(1));
        waits_for(&clock, secs(1)).await;
        clock.pass(secs(1));
        waits_for(&clock, secs(10)).await;
        let parent = parent.execution_id();
        engine.pause(parent).await.unwrap();
        while engine.get(parent).await.unwrap().status() != Status::Paused {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        clock.pass(secs(10));
        let store = shelf.store();
        let key = store.execution(parent).await.unwrap().unwrap().key;
        let ended = async || {
            let inbox = store.inbox(key).await.unwrap();
            let ended = |message: &Message| message.kind == MessageKind::ChildEnded;
            inbox.into_iter().find(ended)
        };
        let ended = soon(async {
            loop {
                match ended().await {
                    Some(message) => return message,
                    None => tokio::time::sleep(Duration::from_millis(2)).await,
                }
            }
        });
        assert!(ended.await.at <= clock.now());
        worker.stop().await;
    }
}

/// PITFALL: what was put to sleep while the store was told of it was not among those that slept.
#[tokio::test]
async fn one_that_goes_to_sleep_while_the_clock_is_set_back_keeps_its_length() {
    for shelf in Shelf::each().await {
        let clock = HandClock::at(utc(START));
        // The first commit starts it, the second puts it to sleep.
        let store = Trip::new(shelf.store(), Some(("commit", 2, Mishap::Hangs)));
        let builder = shelf.builder().shared_store(Arc::clone(&store) as _);
        let builder = builder.clock(clock.clone()).idle_after(Duration::ZERO);
        let engine = builder.build().await.unwrap();
        let worker = engine.worker().spawn();
        let sleeper = take_a_nap.on(&engine).start(10).await.unwrap();
        soon(store.tripped()).await;
        clock.set_back(hours(1));
        let told = SetBack {
            by: hours(1),
            at: clock.now(),
            within: secs(1),
        };
        shelf.store().clock_set_back(told).await.unwrap();
        let _ = asleep(&engine, sleeper.execution_id()).await;
        waits_for(&clock, secs(10)).await;
        clock.pass(secs(10));
        assert!(soon(sleeper.wait()).await.unwrap().has_succeeded());
        worker.stop().await;
    }
}

#[workflow(max_attempts = 2, retry = "restart")]
async fn nap_twice(ctx: ExecutionContext) -> Result<(), TaskError> {
    flux::sleep(secs(10)).await;
    match ctx.attempt() {
        1 => flux::step("wake up", async { Err("too tired") }).await,
        _ => Ok(()),
    }
}

/// PITFALL: an attempt that begins from the beginning has no history of its own yet, and was not known to be ahead.
#[tokio::test]
async fn a_sleep_of_a_second_attempt_keeps_its_length_after_the_clock_was_set_back() {
    for shelf in Shelf::each().await {
        let clock = HandClock::at(utc(START));
        let engine = engine_by(&clock, &shelf).await;
        let worker = engine.worker().spawn();
        let handle = nap_twice.on(&engine).start(()).await.unwrap();
        waits_for(&clock, secs(10)).await;
        clock.set_back(hours(1));
        waits_for(&clock, secs(10)).await;
        clock.pass(secs(10));
        waits_for(&clock, secs(10)).await;
        let _ = asleep(&engine, handle.execution_id()).await;
        clock.pass(secs(10));
        assert!(soon(handle.wait()).await.unwrap().has_succeeded());
        worker.stop().await;
    }
}

static IS_RESTED: AtomicBool = AtomicBool::new(false);

#[task]
async fn get_up() -> Result<(), String> {
    match IS_RESTED.load(Ordering::SeqCst) {
        true => Ok(()),
        false => Err("too tired".to_owned()),
    }
}

#[workflow]
async fn get_up_early(_ctx: ExecutionContext) -> Result<(), TaskError> {
    get_up().await?;
    flux::sleep(secs(10)).await;
    Ok(())
}

#[tokio::test]
async fn what_is_retried_after_the_clock_was_set_back_goes_on_in_its_own_time() {
    let clock = HandClock::at(utc(START));
    let engine = engine_by(&clock, &Shelf::memory()).await;
    let failed = get_up_early.on(&engine).run(()).await.unwrap();
    assert!(failed.has_failed());
    clock.set_back(hours(1));
    IS_RESTED.store(true, Ordering::SeqCst);
    let id = failed.execution_id();
    let retrying = tokio::spawn(get_up_early.on(&engine).resume(id));
    waits_for(&clock, secs(10)).await;
    clock.pass(secs(10));
    let run = soon(retrying).await.unwrap().unwrap();
    assert!(run.has_succeeded());
    let events = run.events().await.unwrap();
    assert!(events.is_sorted_by_key(|event| event.at), "{events:?}");
}

static IS_AWAKE: AtomicBool = AtomicBool::new(false);

#[workflow]
async fn wake_up(_ctx: ExecutionContext) -> Result<(), TaskError> {
    let body = async {
        match IS_AWAKE.load(Ordering::SeqCst) {
            true => Ok(()),
            false => Err("asleep"),
        }
    };
    flux::step("wake up", body).await
}

/// PITFALL: a clock that is set back by a second is not noticed, and what took the failure back was stamped earlier than it.
#[tokio::test]
async fn a_retry_is_never_earlier_than_the_failure() {
    for step in [secs(1), hours(1)] {
        let clock = HandClock::at(utc(START));
        let engine = engine_by(&clock, &Shelf::memory()).await;
        IS_AWAKE.store(false, Ordering::SeqCst);
        let failed = wake_up.on(&engine).run(()).await.unwrap();
        assert!(failed.has_failed());
        clock.set_back(step);
        IS_AWAKE.store(true, Ordering::SeqCst);
        let run = wake_up.on(&engine).resume(failed.execution_id());
        let run = soon(run).await.unwrap();
        assert!(run.has_succeeded());
        let events = run.events().await.unwrap();
        assert!(events.is_sorted_by_key(|event| event.at), "{events:?}");
    }
}

#[workflow]
async fn wait_for_three_o_clock_and_a_minute(_ctx: ExecutionContext) -> (SystemTime, SystemTime) {
    let three = async {
        flux::sleep_until_cron("0 4 * * *").await;
        flux::now()
    };
    let minute = async {
        flux::sleep(mins(1)).await;
        flux::now()
    };
    tokio::join!(three, minute)
}

#[tokio::test]
async fn a_moment_that_was_asked_for_comes_as_the_clock_has_it() {
    let clock = HandClock::at(utc(START));
    let engine = engine_by(&clock, &Shelf::memory()).await;
    let on = wait_for_three_o_clock_and_a_minute.on(&engine);
    let handle = on.start(()).await.unwrap();
    waits_for(&clock, mins(1)).await;
    clock.set_back(mins(30));
    waits_for(&clock, mins(1)).await;
    clock.pass(mins(1));
    while count(&engine, handle.execution_id(), EventKind::TimerFired).await == 0 {
        tokio::task::yield_now().await;
    }
    let four = utc("2024-01-02T04:00:00Z");
    waits_for(&clock, mins(89)).await;
    clock.set(four);
    let run = soon(handle.wait()).await.unwrap();
    let (at_four, after_a_minute) = *run.output().unwrap();
    assert_eq!(after_a_minute, utc("2024-01-02T03:01:00Z"));
    assert!(at_four >= four);
}

#[tokio::test]
async fn a_deadline_keeps_its_length_when_the_clock_is_set_back() {
    let clock = HandClock::at(utc(START));
    let engine = engine_by(&clock, &Shelf::memory()).await;
    let handle = wait_an_hour_for_word.on(&engine).start(()).await.unwrap();
    waits_for(&clock, hours(1)).await;
    clock.set_back(hours(5));
    waits_for(&clock, hours(1)).await;
    clock.pass(hours(1));
    assert!(soon(handle.wait()).await.unwrap().has_failed());
}

/// PITFALL: what had started an hour later counted for that hour.
#[tokio::test]
async fn a_rate_counts_nothing_that_lies_in_the_future() {
    for shelf in Shelf::each().await {
        let clock = HandClock::at(utc(START));
        let engine = engine_by(&clock, &shelf).await;
        let worker = engine.worker().spawn();
        engine.queue("clocks").rate("2/1s").await.unwrap();
        for n in 0..2 {
            let sent = send_letter.on(&engine).start(n).await.unwrap();
            let _ = soon(sent.wait()).await.unwrap();
        }
        clock.set_back(hours(1));
        for n in 2..4 {
            let sent = send_letter.on(&engine).start(n).await.unwrap();
            assert!(soon(sent.wait()).await.unwrap().has_succeeded());
        }
        let fifth = send_letter.on(&engine).start(4).await.unwrap();
        let (now, second) = (now(&clock), secs(1));
        let next = now + Duration::from_micros(1);
        soon(clock.until_awaited(next, now + second * 2)).await;
        assert_eq!(fifth.status().await.unwrap(), Status::Pending);
        clock.pass(second * 2);
        assert!(soon(fifth.wait()).await.unwrap().has_succeeded());
        worker.stop().await;
    }
}

#[tokio::test]
async fn schedules_fire_from_the_present_moment_on_when_the_clock_was_wrong_by_days() {
    for shelf in Shelf::each().await {
        let clock = HandClock::at(utc(START));
        let engine = engine_by(&clock, &shelf).await;
        let worker = engine.worker().spawn();
        let hourly = engine.schedule("hourly", count_sheep, 0).every("1h");
        hourly.await.unwrap();
        let fired = async |slot: &str| {
            let id = format!("hourly@{slot}");
            // Before it has finished, the next moment would be skipped.
            while !engine
                .get(id.as_str())
                .await
                .is_ok_and(|run| run.has_succeeded())
            {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        };
        let stands_at = async |moment| {
            let schedule = async || engine.get_schedule("hourly").await.unwrap();
            while schedule().await.next_at() != Some(utc(moment)) {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        };
        soon(stands_at("2024-01-02T04:00:00Z")).await;
        clock.pass(hours(1));
        soon(fired("2024-01-02T04:00:00Z")).await;
        soon(stands_at("2024-01-02T05:00:00Z")).await;

        clock.set_back(hours(48));
        soon(stands_at("2023-12-31T05:00:00Z")).await;
        clock.pass(hours(1));
        soon(fired("2023-12-31T05:00:00Z")).await;

        // What has fired does not fire again.
        soon(stands_at("2023-12-31T06:00:00Z")).await;
        clock.pass(hours(50));
        soon(fired("2024-01-02T07:00:00Z")).await;
        assert_eq!(engine.list().schedule("hourly").await.unwrap().len(), 3);
        worker.stop().await;
    }
}
