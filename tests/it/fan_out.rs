//! Fan-out and fan-in: seven partitions, at most five at once, and only what is missing after a crash or a failure.

use std::time::Duration;

use flux::{ExecutionContext, TaskError, task, workflow};
use futures::{StreamExt, TryStreamExt, stream};

use crate::support::{Shelf, When, begin, most_at_once, ran, spend, started, unique};

#[task]
async fn split_data(count: u32) -> Vec<u32> {
    begin();
    (0..count).collect()
}

#[task(name = "part-{part}")]
async fn process_part(part: u32) -> u32 {
    begin();
    // The later, the faster.
    spend(Duration::from_millis(u64::from(50 - 5 * part))).await;
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
        assert_eq!(most_at_once(run.execution_id().as_str()), 5);
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
