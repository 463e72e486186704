//! Every public future is dropped at its k-th poll, for all k: afterwards another engine on the same store brings the
//! execution to its right end, and the first one, which lives on, is not restarted.
//!
//! The store yields before and after each call's work, so that a future can be cut off on both sides of every call.

use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use flux::store::{MemoryStore, Store};
use flux::time::secs;
use flux::{Engine, ExecutionContext, ExecutionId, Start, Status, TaskError, task, workflow};
use futures::FutureExt as _;
use futures::future::BoxFuture;

use crate::support::trip::Trip;
use crate::support::{Greeter, TokioClock, begin, code_of, lines, set_code, unique};
use crate::voyage::{Plan, check, escort, sail};

const PLAN: Plan = Plan {
    fails: false,
    has_tables: false,
    round: 0,
};

/// Fails until the code of its execution is set.
#[task]
async fn haul_once() -> Result<u32, String> {
    begin();
    let id = flux::task_context().unwrap().execution_id().clone();
    match code_of(&id) {
        0 => Err("too heavy".to_owned()),
        _ => Ok(1),
    }
}

#[workflow]
async fn haul(_ctx: ExecutionContext) -> Result<u32, TaskError> {
    haul_once().await
}

/// What an execution has come to before the future is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// There is none.
    Nothing,
    /// It waits in a queue.
    Queued,
    /// Its driver was dropped in the middle.
    Crashed,
    /// It runs, driven by the first engine for nobody in particular.
    Running,
    /// It waits at its pause point.
    Paused,
    /// It has failed, and would succeed now.
    Failed,
}

type Act = fn(Engine, ExecutionId) -> BoxFuture<'static, ()>;

/// A future to be dropped, and what may become of its execution.
struct Case {
    name: &'static str,
    stage: Stage,
    act: Act,
    ends: &'static [Status],
}

const fn case(name: &'static str, stage: Stage, act: Act) -> Case {
    Case {
        name,
        stage,
        act,
        ends: &[Status::Completed],
    }
}

/// How far a future came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Came {
    Done,
    Dropped,
    /// It waits for others, and was dropped while it did.
    Waits,
}

/// Polls a future `most` times, whenever it is woken, and drops it.
async fn poll_times(future: BoxFuture<'static, ()>, most: usize) -> Came {
    let mut future = pin!(future);
    let mut polls = 0;
    let polled = std::future::poll_fn(|cx| {
        polls += 1;
        match future.as_mut().poll(cx) {
            Poll::Ready(()) => Poll::Ready(Came::Done),
            Poll::Pending if polls == most => Poll::Ready(Came::Dropped),
            Poll::Pending => Poll::Pending,
        }
    });
    tokio::time::timeout(secs(3), polled)
        .await
        .unwrap_or(Came::Waits)
}

async fn engine(store: Arc<dyn Store>, clock: TokioClock) -> Engine {
    let builder = Engine::builder().shared_store(store).clock(clock);
    let builder = builder.state(Greeter { word: "hello" });
    builder.build().await.unwrap()
}

/// Brings an execution to a stage.
async fn prepare(stage: Stage, engine: &Engine, id: &ExecutionId) {
    let on = sail.on(engine);
    let until_said = async {
        while engine
            .signal_once(id, "word", "ahoy", "once")
            .await
            .is_err()
        {
            tokio::task::yield_now().await;
        }
    };
    match stage {
        Stage::Nothing => {}
        Stage::Queued => drop(on.start(PLAN).execution_id(id).for_worker().await.unwrap()),
        Stage::Crashed => {
            let run = on.run(PLAN).execution_id(id);
            assert!(
                tokio::time::timeout(Duration::from_millis(1), run)
                    .await
                    .is_err()
            );
        }
        Stage::Running => drop(on.start(PLAN).execution_id(id).await.unwrap()),
        Stage::Paused => {
            let (run, ()) = tokio::join!(on.run(PLAN).execution_id(id), until_said);
            assert!(run.unwrap().is_paused());
        }
        Stage::Failed => {
            let run = haul.on(engine).run(()).execution_id(id).await.unwrap();
            assert!(run.has_failed());
            set_code(id, 1);
        }
    }
}

/// Waits until an execution is as it is to be, a minute at most.
async fn until(engine: &Engine, id: &ExecutionId, at: &str, is_so: fn(&flux::Execution) -> bool) {
    for _ in 0..30_000 {
        if is_so(&engine.get(id).await.unwrap()) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    let history = lines(&engine.history(id).await.unwrap());
    panic!("{at}: {:?}\n{history}", engine.get(id).await);
}

async fn trial(case: &Case, polls: usize) -> Came {
    let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
    let clock = TokioClock::new();
    let first = engine(Trip::yielding(Arc::clone(&store)), clock).await;
    let other = engine(store, clock).await;
    let id = unique("dropped");
    prepare(case.stage, &first, &id).await;
    let came = poll_times((case.act)(first.clone(), id.clone()), polls).await;
    let at = format!("{} dropped at poll {polls} ({came:?})", case.name);

    let worker = other.worker().spawn();
    if case.stage == Stage::Failed {
        // Whoever heard no answer asks again, and is refused until the first engine has given the execution up.
        while other.get(&id).await.unwrap().has_failed() {
            drop(other.retry(&id).request().await);
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        until(&other, &id, &at, flux::Execution::has_succeeded).await;
    } else {
        let status = escort(&other, &id, PLAN).await;
        let history = lines(&other.history(&id).await.unwrap());
        assert!(case.ends.contains(&status), "{at}: {status}\n{history}");
        if status == Status::Completed {
            check(&other, &id, PLAN, 1).await;
        }
        for child in other.list().children_of(&id).await.unwrap() {
            until(
                &other,
                child.execution_id(),
                &at,
                flux::Execution::has_finished,
            )
            .await;
        }
    }
    worker.stop().await;
    assert_eq!(first.adopted() + other.adopted(), 0, "{at}");
    came
}

async fn sweep(case: Case) {
    for polls in 1..400 {
        let came = trial(&case, polls).await;
        if came != Came::Dropped {
            assert!(
                polls > 1 || came == Came::Done,
                "{} was never dropped",
                case.name
            );
            return;
        }
    }
    panic!("{} has no end", case.name);
}

fn start(engine: &Engine, id: ExecutionId) -> Start<String> {
    sail.on(engine).start(PLAN).execution_id(id)
}

#[tokio::test(start_paused = true)]
async fn starts_and_runs_may_be_dropped_at_any_poll() {
    let cases = [
        case("run", Stage::Nothing, |engine, id| {
            let run = sail.on(&engine).run(PLAN).execution_id(id);
            run.map(|run| drop(run.unwrap())).boxed()
        }),
        case("run of what crashed", Stage::Crashed, |engine, id| {
            let run = sail.on(&engine).run(PLAN).execution_id(id);
            run.map(|run| drop(run.unwrap())).boxed()
        }),
        case("run in a queue", Stage::Nothing, |engine, id| {
            let run = sail.on(&engine).run(PLAN).execution_id(id);
            run.queue("harbour").map(|run| drop(run.unwrap())).boxed()
        }),
        case("start", Stage::Nothing, |engine, id| {
            start(&engine, id)
                .map(|handle| drop(handle.unwrap()))
                .boxed()
        }),
        case("start in a queue", Stage::Nothing, |engine, id| {
            let start = start(&engine, id).queue("harbour");
            start.map(|handle| drop(handle.unwrap())).boxed()
        }),
        case("start with a delay", Stage::Nothing, |engine, id| {
            let start = start(&engine, id).delay(Duration::from_millis(5));
            start.map(|handle| drop(handle.unwrap())).boxed()
        }),
        case("start for a worker", Stage::Nothing, |engine, id| {
            let start = start(&engine, id).for_worker();
            start.map(|handle| drop(handle.unwrap())).boxed()
        }),
        case("start by name", Stage::Nothing, |engine, id| {
            let start = engine.start_by_name("sail", PLAN).execution_id(id);
            start.map(|handle| drop(handle.unwrap())).boxed()
        }),
        case("run by name", Stage::Nothing, |engine, id| {
            let run = engine.run_by_name("sail", PLAN).execution_id(id);
            run.map(|run| drop(run.unwrap())).boxed()
        }),
        case("wait", Stage::Running, |engine, id| {
            async move {
                let handle = sail.on(&engine).start(PLAN).execution_id(id);
                drop(handle.await.unwrap().wait().await.unwrap());
            }
            .boxed()
        }),
    ];
    for case in cases {
        sweep(case).await;
    }
}

#[tokio::test(start_paused = true)]
async fn resumes_may_be_dropped_at_any_poll() {
    let cases = [
        case("resume", Stage::Paused, |engine, id| {
            let resume = engine.resume(&id).at("course").with("west");
            resume.map(|run| drop(run.unwrap())).boxed()
        }),
        case("a requested resume", Stage::Paused, |engine, id| {
            let resume = engine.resume(&id).at("course").with("west");
            resume.request().map(|asked| drop(asked.unwrap())).boxed()
        }),
        case("resume of what crashed", Stage::Crashed, |engine, id| {
            engine.resume(&id).map(|run| drop(run.unwrap())).boxed()
        }),
        case("recover", Stage::Crashed, |engine, _| {
            async move { drop(engine.recover().await.unwrap()) }.boxed()
        }),
        case("retry", Stage::Failed, |engine, id| {
            engine.retry(&id).map(|run| drop(run.unwrap())).boxed()
        }),
        case("a requested retry", Stage::Failed, |engine, id| {
            let retry = engine.retry(&id).request();
            retry.map(|asked| drop(asked.unwrap())).boxed()
        }),
    ];
    for case in cases {
        sweep(case).await;
    }
}

#[tokio::test(start_paused = true)]
async fn orders_may_be_dropped_at_any_poll() {
    const CANCELLED: &[Status] = &[Status::Completed, Status::Cancelled];
    const TERMINATED: &[Status] = &[Status::Completed, Status::Terminated];
    let cancel: Act = |engine, id| async move { engine.cancel(&id).await.unwrap() }.boxed();
    let terminate: Act =
        |engine, id| async move { engine.terminate(&id, "enough").await.unwrap() }.boxed();
    let pause: Act = |engine, id| async move { engine.pause(&id).await.unwrap() }.boxed();
    let signal: Act = |engine, id| {
        async move {
            let said = engine.signal_once(&id, "word", "ahoy", "once").await;
            said.unwrap();
        }
        .boxed()
    };
    for stage in [Stage::Queued, Stage::Crashed, Stage::Running, Stage::Paused] {
        let ended = |case: Case, ends| Case { ends, ..case };
        sweep(ended(case("cancel", stage, cancel), CANCELLED)).await;
        sweep(ended(case("terminate", stage, terminate), TERMINATED)).await;
        sweep(case("signal", stage, signal)).await;
        if stage != Stage::Queued {
            sweep(case("pause", stage, pause)).await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn workers_may_be_dropped_at_any_poll() {
    let work: Act = |engine, _| {
        let work = engine.worker().run_until(std::future::pending());
        work.map(|done| done.unwrap()).boxed()
    };
    let stop: Act = |engine, _| {
        async move {
            let worker = engine.worker().spawn();
            tokio::time::sleep(Duration::from_millis(1)).await;
            worker.stop().await;
        }
        .boxed()
    };
    let shutdown: Act = |engine, _| async move { engine.shutdown(secs(1)).await.unwrap() }.boxed();
    for stage in [Stage::Queued, Stage::Crashed, Stage::Running] {
        sweep(case("a worker", stage, work)).await;
        sweep(case("a worker that stops", stage, stop)).await;
        sweep(case("a shutdown", stage, shutdown)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn looks_may_be_dropped_at_any_poll() {
    let replay: Act =
        |engine, id| async move { engine.replay(&id).await.map(|_| ()).unwrap() }.boxed();
    let look: Act = |engine, id| {
        async move {
            drop(engine.list().await.unwrap());
            drop(engine.history(&id).await.unwrap());
            drop(engine.get(&id).await.unwrap().calls().await.unwrap());
        }
        .boxed()
    };
    sweep(case("replay", Stage::Paused, replay)).await;
    sweep(case("looking", Stage::Paused, look)).await;
}

/// Drops a start at each of its polls, beside a worker of the same engine, which has nothing else to wake it.
async fn sweep_beside_worker(start: fn(Start<u32>) -> Start<u32>) {
    let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
    let engine = engine(Trip::yielding(store), TokioClock::new()).await;
    let worker = engine.worker().spawn();
    let mut began = 0;
    for polls in 1..400 {
        tokio::time::sleep(secs(1)).await;
        let id = unique("left");
        set_code(&id, 1);
        let on = haul.on(&engine);
        let start = start(on.start(()).execution_id(&id)).into_future();
        let came = poll_times(start.map(|handle| drop(handle.unwrap())).boxed(), polls).await;
        tokio::time::sleep(secs(1)).await;
        match engine.get(&id).await {
            Ok(run) => {
                assert!(run.has_succeeded(), "dropped at poll {polls}: {run}");
                began += 1;
            }
            Err(error) => assert!(matches!(error, flux::Error::ExecutionNotFound { .. })),
        }
        if came == Came::Done {
            assert!(began > 1, "it was never dropped");
            worker.stop().await;
            return;
        }
    }
    panic!("it has no end");
}

#[tokio::test(start_paused = true)]
async fn a_worker_hears_at_once_of_a_start_whose_caller_has_left() {
    sweep_beside_worker(Start::for_worker).await;
    sweep_beside_worker(|start| start.queue("harbour")).await;
    sweep_beside_worker(|start| start.delay(Duration::from_millis(5))).await;
}
