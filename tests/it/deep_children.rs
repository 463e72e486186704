//! Children of children of children: what they leave behind grows with their number, not faster.

use flux::{Engine, ExecutionContext, ExecutionId, TaskError, task, workflow};
use serde::{Deserialize, Serialize};

use crate::support::{Shelf, begin, unique};

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, thiserror::Error)]
#[error("the well is dry at {depth} m")]
struct Dry {
    depth: u32,
}

#[task]
async fn draw_water() -> Result<(), Dry> {
    begin();
    Err(Dry { depth: 40 })
}

#[workflow]
async fn dig(ctx: ExecutionContext<u32>) -> Result<(), TaskError> {
    match ctx.input() {
        0 => draw_water().await,
        deeper => dig.call(deeper - 1).await,
    }
}

/// The bytes of all payloads in the histories of an execution and the chain of its children.
async fn recorded(engine: &Engine, id: &ExecutionId) -> usize {
    let mut bytes = 0;
    let mut next = Some(id.clone());
    while let Some(id) = next {
        let events = engine.history(&id).await.unwrap();
        let payloads = events.iter().filter_map(|event| event.payload.as_ref());
        bytes += payloads
            .map(|payload| payload.to_string().len())
            .sum::<usize>();
        let children = engine.list().children_of(&id).await.unwrap();
        next = children.first().map(|child| child.execution_id().clone());
    }
    bytes
}

/// PITFALL: each parent recorded all that its child had recorded, as text and as value: 200 levels wrote 67 MB.
#[tokio::test]
async fn a_failure_that_climbs_is_recorded_in_proportion_to_its_depth() {
    let engine = Shelf::memory().engine().await;
    let mut sizes = Vec::new();
    for depth in [40, 80] {
        let id = unique("dig");
        let run = dig.on(&engine).run(depth).execution_id(&id).await.unwrap();
        let message = run.failure().unwrap().message();
        assert!(
            message.starts_with("task `dig` failed: task `dig`"),
            "{message}"
        );
        assert!(message.ends_with("the well is dry at 40 m"), "{message}");
        sizes.push(recorded(&engine, &id).await);
    }
    assert!(sizes[1] < 3 * sizes[0], "{sizes:?}");
    assert!(sizes[1] < 80 * 16 * 1024, "{sizes:?}");
}

#[workflow]
async fn reach_in(_ctx: ExecutionContext) -> Result<Option<Dry>, TaskError> {
    let failed = dig.call(1).await.unwrap_err();
    // Of the child, of what it called, and so on down to the task.
    let below: Option<TaskError> = failed.downcast();
    let task: Option<TaskError> = below.and_then(|below| below.downcast());
    Ok(task.and_then(|task| task.downcast()))
}

#[tokio::test]
async fn a_value_that_an_execution_failed_with_is_found_by_its_parents() {
    let engine = Shelf::memory().engine().await;
    let run = reach_in.on(&engine).run(()).await.unwrap();
    assert_eq!(run.output().unwrap(), &Some(Dry { depth: 40 }));
}
