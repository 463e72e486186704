//! AT-7: a matrix of regions and shards, four at once; after a failure, what failed and no more.

use std::time::Duration;

use flux::{ExecutionContext, TaskError, task, workflow};
use futures::{StreamExt, stream};

use crate::support::{Shelf, begin, code_of, most_at_once, ran, set_code, spend, started};

#[task]
async fn set_up() {
    begin();
}

#[task(name = "process-{region}-{shard}")]
async fn process_region(region: String, shard: u64) -> Result<String, String> {
    begin();
    // The later, the faster.
    spend(Duration::from_millis(10 - shard)).await;
    let id = flux::task_context().unwrap().execution_id().clone();
    if region == "us-west" && shard == 3 && code_of(&id) == 0 {
        return Err("the shard is broken".to_owned());
    }
    Ok(format!("{region}-{shard}"))
}

fn cells() -> Vec<(String, u64)> {
    let mut cells = Vec::new();
    for region in ["us-east", "us-west", "eu-central"] {
        cells.extend((1..=4).map(|shard| (region.to_owned(), shard)));
    }
    cells
}

#[task]
async fn aggregate(cells: Vec<String>) -> String {
    begin();
    cells.join(" ")
}

#[workflow(name = "complex-workflow")]
async fn process_matrix(_ctx: ExecutionContext) -> Result<String, TaskError> {
    set_up().await?;
    let calls = stream::iter(cells()).map(|(region, shard)| process_region(region, shard));
    // One that fails does not stop the others.
    let done: Vec<_> = calls.buffered(4).collect().await;
    aggregate(done.into_iter().collect::<Result<_, _>>()?).await
}

fn names() -> Vec<String> {
    let name = |(region, shard)| format!("{region}-{shard}");
    cells().into_iter().map(name).collect()
}

#[tokio::test]
async fn at_7_one_broken_cell_of_a_matrix_is_all_that_runs_again() {
    for shelf in Shelf::every_way().await {
        let engine = shelf.engine().await;
        let run = process_matrix.on(&engine).run(()).await.unwrap();
        let id = run.execution_id();
        let failure = run.failure().unwrap();
        assert_eq!(failure.task(), Some("process-us-west-3"));
        assert!(
            failure.message().contains("the shard is broken"),
            "{failure}"
        );
        let bodies = started(id);
        assert_eq!(bodies[0], "set_up");
        for name in names() {
            assert_eq!(ran(id, &format!("process-{name}")), 1);
        }
        assert_eq!(bodies.len(), 13);
        assert_eq!(ran(id, "aggregate"), 0);
        assert_eq!(most_at_once(id.as_str()), 4);
        let tasks = run.tasks().await.unwrap();
        let failed = tasks.iter().filter(|task| task.has_failed());
        assert_eq!(failed.count(), 1, "the eleven others are done");

        set_code(id, 1);
        let run = process_matrix.on(&engine).resume(id).await.unwrap();
        assert_eq!(run.output(), Some(&names().join(" ")), "in row-major order");
        assert_eq!(started(id)[13..], ["process-us-west-3", "aggregate"]);
    }
}
