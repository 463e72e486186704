//! Failures that no task is to blame for: the code's own decision, and its panics.

use flux::{ExecutionContext, FailureKind, TaskError, task, workflow};

use crate::support::{Shelf, begin, code_of, ran, set_code, started, unique};

/// The repair of what is broken.
const REPAIRED: u32 = 1;

#[task]
async fn pack(item: String) -> String {
    begin();
    format!("[{item}]")
}

#[task]
async fn insure() -> Result<u32, String> {
    begin();
    Err("no insurer".to_owned())
}

#[task]
async fn tell(message: String) -> String {
    begin();
    message
}

#[workflow]
async fn send_if_wise(ctx: ExecutionContext<String>) -> Result<String, String> {
    let parcel = pack(ctx.input().clone())
        .await
        .map_err(|error| error.to_string())?;
    insure().await.ok();
    tell("checked".into())
        .await
        .map_err(|error| error.to_string())?;
    match code_of(ctx.execution_id()) {
        REPAIRED => Ok(parcel),
        _ => Err("we do not send to the moon".to_owned()),
    }
}

#[tokio::test]
async fn a_failure_the_code_decided_on_is_repaired_by_new_code_alone() {
    for shelf in Shelf::every_way().await {
        let run = send_if_wise
            .on(&shelf.engine().await)
            .run("flag".into())
            .await
            .unwrap();
        let id = run.execution_id().clone();
        assert!(run.failure().unwrap().escaped().is_empty());
        assert!(run.to_string().contains("no failed call"), "{run}");
        let events = run.events().await.unwrap();

        let run = send_if_wise
            .on(&shelf.engine().await)
            .resume(&id)
            .await
            .unwrap();
        assert!(run.has_failed());
        assert_eq!(
            run.failure().unwrap().message(),
            "we do not send to the moon"
        );
        assert_eq!(run.events().await.unwrap(), events);

        set_code(&id, REPAIRED);
        let run = send_if_wise
            .on(&shelf.engine().await)
            .resume(&id)
            .await
            .unwrap();
        assert_eq!(run.output().unwrap(), "[flag]");
        assert_eq!(started(&id), ["pack", "insure", "tell"]);
    }
}

#[workflow]
async fn send_carelessly(ctx: ExecutionContext<String>) -> Result<String, TaskError> {
    let parcel = pack(ctx.input().clone()).await?;
    assert_eq!(code_of(ctx.execution_id()), REPAIRED, "a slip of the pen");
    Ok(parcel)
}

#[tokio::test]
async fn a_panic_in_the_workflow_is_a_failure_that_new_code_repairs() {
    for shelf in Shelf::every_way().await {
        let id = unique("careless");
        let run = send_carelessly
            .on(&shelf.engine().await)
            .run("x".into())
            .execution_id(&id)
            .await
            .unwrap();
        let failure = run.failure().unwrap();
        assert_eq!(failure.kind(), FailureKind::Panicked);
        assert!(failure.message().contains("a slip of the pen"));
        set_code(&id, REPAIRED);
        let run = send_carelessly
            .on(&shelf.engine().await)
            .resume(&id)
            .await
            .unwrap();
        assert_eq!(run.output().unwrap(), "[x]");
        assert_eq!(ran(&id, "pack"), 1);
    }
}
