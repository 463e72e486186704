//! Promises to the compiler: what a program may store, share between threads and spawn.
//!
//! Nothing here runs. A type or a future that loses a promise no longer compiles.

use std::error::Error as StdError;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use flux::sqlite::{SqliteOptions, SqliteStore};
use flux::store::{
    ClaimError, CommitError, MemoryStore, PostError, Store, StoreError, WorkerGuard,
};
use flux::{
    CallInfo, Cancelled, ChildCall, DefaultStore, Elapsed, Engine, EngineBuilder, Error,
    ErrorRecord, EscapedCall, Event, Events, Execution, ExecutionContext, ExecutionId, Failure,
    Handle, List, NewSchedule, NonDeterminism, NotCompleted, Obstacle, OnEngine, Pause, PausePoint,
    PauseValue, Payload, PayloadError, Queue, Recovered, Replayed, Resume, Run, RunningWorker,
    Schedule, SettingsError, SignalWait, Sleep, SlotRelease, Start, State, TaskCall, TaskContext,
    TaskError, TaskInfo, Terminal, Timeout, UnknownStatus, Worker, Workflow, WorkflowInfo, clock,
    task, workflow,
};

/// Kept in a `static`, an `Arc`, or the state of a web framework.
const fn shared<T: Send + Sync + 'static>() {}

/// Moved to another thread, or held across an `.await` of a spawned task.
const fn sent<T: Send + 'static>() {}

/// An error that `?` turns into `anyhow::Error` or `Box<dyn Error + Send + Sync>`.
const fn error<T: StdError + Send + Sync + 'static>() {}

/// Spawned with `tokio::spawn`.
fn spawned<F: IntoFuture<IntoFuture: Send + 'static, Output: Send + 'static>>(_future: &F) {}

/// Awaited by a spawned task that holds what the future borrows.
fn awaited<F: IntoFuture<IntoFuture: Send>>(_future: &F) {}

/// A result that is `Send` and not `Sync`, which is all that a call asks of one.
type Output = std::cell::Cell<u8>;

// Handles are shared between threads.
const _: () = {
    shared::<Engine>();
    shared::<EngineBuilder>();
    shared::<Workflow<String, String>>();
    shared::<OnEngine<String, String>>();
    shared::<Execution>();
    shared::<Execution<String>>();
    shared::<Handle>();
    shared::<Handle<String>>();
    shared::<ExecutionContext<String>>();
    shared::<TaskContext>();
    shared::<State<String>>();
    shared::<Worker>();
    shared::<RunningWorker>();
    shared::<Queue>();
    shared::<Schedule>();
    shared::<DefaultStore>();
};

// Builders and streams move between threads.
const _: () = {
    sent::<List>();
    sent::<NewSchedule>();
    sent::<SlotRelease>();
    sent::<Events>();
};

// Data is shared.
const _: () = {
    shared::<CallInfo>();
    shared::<TaskInfo>();
    shared::<Event>();
    shared::<ExecutionId>();
    shared::<Obstacle>();
    shared::<PausePoint>();
    shared::<Payload>();
    shared::<Recovered>();
    shared::<Replayed>();
    shared::<WorkflowInfo>();
    shared::<Failure>();
    shared::<ErrorRecord>();
    shared::<EscapedCall>();
};

// Errors go wherever `anyhow` takes them.
const _: () = {
    error::<Error>();
    error::<TaskError>();
    error::<NotCompleted>();
    error::<PayloadError>();
    error::<SettingsError>();
    error::<UnknownStatus>();
    error::<Elapsed>();
    error::<StoreError>();
    error::<CommitError>();
    error::<ClaimError>();
    error::<PostError>();
    shared::<NonDeterminism>();
    error::<Terminal<TaskError>>();
};

// Stores and clocks are shared.
const _: () = {
    shared::<MemoryStore>();
    shared::<SqliteStore>();
    shared::<SqliteOptions>();
    shared::<Arc<dyn Store>>();
    shared::<WorkerGuard>();
    shared::<Arc<dyn clock::Clock>>();
    shared::<clock::SystemClock>();
};

// Named futures move between threads, also with a result that is not `Sync`.
const _: () = {
    sent::<Run<String>>();
    sent::<Start<String>>();
    sent::<Resume<String>>();
    sent::<TaskCall<Output>>();
    sent::<ChildCall<Output>>();
    sent::<SignalWait<Output>>();
    sent::<PauseValue<Output>>();
    sent::<Pause>();
    sent::<Sleep>();
    sent::<Timeout<Sleep>>();
    sent::<Cancelled>();
};

#[task]
async fn press(grapes: u32) -> u32 {
    grapes
}

#[workflow]
async fn make_wine(ctx: ExecutionContext<u32>) -> Result<u32, TaskError> {
    press(*ctx.input()).await
}

/// The futures of `async fn`s have no names: they are asked for and never polled.
#[expect(dead_code, reason = "it compiles, which is the test")]
async fn futures_of_functions_can_be_spawned(
    engine: Engine,
    handle: Handle<u32>,
    run: Execution<u32>,
    schedule: Schedule,
    mut events: Events,
    worker: RunningWorker,
) {
    let id = ExecutionId::from("wine");
    let wine = make_wine.on(&engine);
    spawned(&Engine::open("wine.db"));
    spawned(&Engine::builder());
    spawned(&Engine::global());
    spawned(&SqliteStore::open("wine.db"));
    spawned(&wine.run(1));
    spawned(&wine.start(1));
    spawned(&wine.resume(&id));
    spawned(&wine.resume(&id).request());
    awaited(&wine.get(&id));
    spawned(&make_wine.call(1));
    spawned(&press(1));
    spawned(&flux::step("bottle", async { Ok::<_, String>(1) }));
    spawned(&flux::roll_back());
    spawned(&flux::shutdown_signal());

    awaited(&engine.get(&id));
    awaited(&engine.history(&id));
    awaited(&engine.signal(&id, "ripe", &1));
    awaited(&engine.signal_once(&id, "ripe", &1, "key"));
    awaited(&engine.published::<u32>(&id, "barrels"));
    awaited(&engine.pause(&id));
    awaited(&engine.cancel(&id));
    awaited(&engine.terminate(&id, "frost"));
    awaited(&engine.replay(&id));
    awaited(&engine.recover());
    awaited(&engine.subscribe(&id));
    awaited(&engine.find("wine", 1));
    awaited(&engine.catalog());
    awaited(&engine.workers());
    awaited(&engine.queues());
    awaited(&engine.workflow_counts());
    awaited(&engine.schedules());
    awaited(&engine.get_schedule("autumn"));
    awaited(&engine.shutdown(Duration::ZERO));
    spawned(&engine.list());
    spawned(&engine.queue("press").per_worker(1));
    spawned(&engine.queue("press").pause());
    spawned(&engine.queue("press").resume());
    spawned(&engine.queue("press").info());
    spawned(
        &engine
            .schedule_by_name("autumn", "make_wine", 1)
            .cron("@daily"),
    );
    spawned(&engine.worker().run_until(std::future::pending()));
    spawned(&worker.stop());

    awaited(&handle.status());
    awaited(&handle.signal("ripe", &1));
    awaited(&handle.cancel());
    awaited(&handle.terminate("frost"));
    awaited(&handle.wait());
    awaited(&run.events());
    awaited(&run.calls());
    awaited(&run.tasks());
    awaited(&run.published::<u32>("barrels"));
    awaited(&events.next());
    awaited(&schedule.trigger());
    awaited(&schedule.backfill(SystemTime::UNIX_EPOCH, SystemTime::UNIX_EPOCH));
    awaited(&schedule.pause());
    awaited(&schedule.resume());
    awaited(&schedule.delete());
}

/// A store, a clock and an error can be held as trait objects.
#[expect(dead_code, reason = "it compiles, which is the test")]
fn traits_are_object_safe(_: &dyn Store, _: &dyn clock::Clock, _: Box<dyn StdError + Send + Sync>) {
}
