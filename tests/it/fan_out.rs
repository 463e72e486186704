//! Fan-out and fan-in: seven partitions, at most five at once, and only what is missing after a crash or a failure.

use std::collections::BTreeMap;
use std::sync::{LazyLock, Mutex};
use std::time::Duration;

use flux::{Error, ExecutionContext, ExecutionId, TaskError, task, workflow};
use futures::{StreamExt, TryStreamExt, stream};

use crate::support::{Shelf, When, begin, code_of, ran, set_code, started, unique};

/// How many bodies of an execution run, and how many ran at most.
#[derive(Clone, Copy, Debug, Default)]
struct Meter {
    now: usize,
    most: usize,
}

static METERS: LazyLock<Mutex<BTreeMap<String, Meter>>> = LazyLock::new(Mutex::default);

fn measure(change: impl FnOnce(&mut Meter)) {
    let id = flux::task_context().unwrap().execution_id().to_string();
    change(METERS.lock().unwrap().entry(id).or_default());
}

async fn measured(millis: u64) {
    measure(|meter| {
        meter.now += 1;
        meter.most = meter.most.max(meter.now);
    });
    tokio::time::sleep(Duration::from_millis(millis)).await;
    measure(|meter| meter.now -= 1);
}

fn most_at_once(id: &ExecutionId) -> usize {
    METERS.lock().unwrap()[id.as_str()].most
}

#[task]
async fn split_data(count: u32) -> Vec<u32> {
    begin();
    (0..count).collect()
}

#[task(name = "part-{part}")]
async fn process_part(part: u32) -> u32 {
    begin();
    // The later, the faster.
    measured(u64::from(50 - 5 * part)).await;
    part * 10
}

#[task]
async fn merge_parts(parts: Vec<u32>) -> Vec<u32> {
    begin();
    parts
}

#[workflow]
async fn fan_out(ctx: ExecutionContext<u32>) -> Result<Vec<u32>, TaskError> {
    let parts = split_data(*ctx.input()).await?;
    let done = stream::iter(parts)
        .map(process_part)
        .buffered(5)
        .try_collect()
        .await?;
    merge_parts(done).await
}

/// AT-8.
#[tokio::test(start_paused = true)]
async fn seven_partitions_run_five_at_once_and_merge_in_order() {
    for shelf in [Shelf::memory(), Shelf::memory().always_replay()] {
        let engine = shelf.engine().await;
        let run = fan_out.on(&engine).run(7).await.unwrap();
        assert_eq!(run.output().unwrap(), &[0, 10, 20, 30, 40, 50, 60]);
        assert_eq!(most_at_once(run.execution_id()), 5);
        let run = fan_out.on(&engine).run(0).await.unwrap();
        assert_eq!(run.output().unwrap(), &[] as &[u32]);
        assert_eq!(started(run.execution_id()), ["split_data", "merge_parts"]);
    }
}

/// AT-8, the crash.
#[tokio::test(start_paused = true)]
async fn after_a_crash_only_the_missing_partitions_run() {
    let shelf = Shelf::memory();
    let id = unique("fan-out");
    let engine = shelf.engine().await;
    // Start, split, three partitions; the sixth commit would be the fourth.
    shelf.stop_at(6, When::BeforeCommit);
    let run = fan_out.on(&engine).run(7).execution_id(&id);
    assert!(shelf.crash(run).await.is_none());
    drop(engine);
    shelf.nobody_is_left().await;
    shelf.go_on();
    let before = started(&id).len();
    let engine = shelf.engine().await;
    let recorded = engine.get(&id).await.unwrap().tasks().await.unwrap();
    let done = recorded
        .iter()
        .filter(|task| task.finished_at().is_some())
        .count();
    assert_eq!(done, 4, "split and three partitions");
    let run = fan_out.on(&engine).resume(&id).await.unwrap();
    assert_eq!(run.output().unwrap().len(), 7);
    // Four partitions and the merge.
    assert_eq!(started(&id).len() - before, 5, "{:?}", started(&id));
    assert_eq!(ran(&id, "split_data"), 1);
}

#[task(name = "process-{region}-{shard}")]
async fn process_region(region: String, shard: u32) -> Result<u32, Error> {
    begin();
    measured(u64::from(10 - shard)).await;
    let id = flux::task_context().unwrap().execution_id().clone();
    if region == "us-west" && shard == 3 && code_of(&id) == 0 {
        return Err(Error::Configuration("the shard is broken".into()));
    }
    Ok(shard)
}

#[task]
async fn aggregate(cells: Vec<u32>) -> u32 {
    begin();
    cells.into_iter().sum()
}

#[workflow]
async fn process_matrix(_ctx: ExecutionContext) -> Result<u32, TaskError> {
    let mut cells = Vec::new();
    for region in ["us-east", "us-west", "eu-central"] {
        cells.extend((1..=4).map(|shard| (region.to_owned(), shard)));
    }
    let calls = stream::iter(cells).map(|(region, shard)| process_region(region, shard));
    let done: Vec<_> = calls.buffered(4).collect().await;
    aggregate(done.into_iter().collect::<Result<_, _>>()?).await
}

#[tokio::test(start_paused = true)]
async fn one_broken_cell_of_a_matrix_is_all_that_runs_again() {
    for shelf in [Shelf::memory(), Shelf::memory().always_replay()] {
        let engine = shelf.engine().await;
        let run = process_matrix.on(&engine).run(()).await.unwrap();
        let id = run.execution_id();
        assert_eq!(run.failure().unwrap().task(), Some("process-us-west-3"));
        assert_eq!(started(id).len(), 12);
        assert_eq!(ran(id, "aggregate"), 0);
        assert_eq!(most_at_once(id), 4);
        set_code(id, 1);
        let run = process_matrix.on(&engine).resume(id).await;
        eprintln!(
            "{}",
            crate::support::lines(&engine.history(id).await.unwrap())
        );
        let run = run.unwrap();
        assert_eq!(run.output(), Some(&30), "{run}");
        assert_eq!(started(id)[12..], ["process-us-west-3", "aggregate"]);
    }
}
