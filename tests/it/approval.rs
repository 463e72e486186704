//! A document that waits for its approval: two days, then one more after an escalation.

use flux::time::{hours, mins};
use flux::{Engine, ExecutionContext, Status, task, workflow};
use serde::{Deserialize, Serialize};

use crate::support::{Shelf, begin, started};

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Approval {
    by: String,
}

#[task]
async fn submit(document: String) -> String {
    begin();
    document
}

#[task]
async fn notify(_document: String) {
    begin();
}

#[task]
async fn escalate(_document: String) {
    begin();
}

#[task(name = "publish")]
async fn publish_document(document: String, approval: Approval) -> String {
    begin();
    format!("{document}, approved by {}", approval.by)
}

#[workflow]
async fn document_approval(ctx: ExecutionContext<String>) -> anyhow::Result<String> {
    let document = submit(ctx.input().clone()).await?;
    notify(document.clone()).await?;
    let approval = match flux::timeout(hours(48), flux::signal::<Approval>("document_approved"))
        .await
    {
        Ok(approval) => approval,
        Err(_) => {
            escalate(document.clone()).await?;
            let second =
                flux::timeout(hours(24), flux::signal::<Approval>("escalated_approval")).await;
            second
                .map_err(|elapsed| anyhow::anyhow!("SignalTimeout escalated_approval: {elapsed}"))?
        }
    };
    Ok(publish_document(document, approval).await?)
}

async fn approve(engine: &Engine, id: &flux::ExecutionId, signal: &str) {
    let approval = Approval { by: "Ada".into() };
    engine.signal(id, signal, &approval).await.unwrap();
}

async fn both() -> [Engine; 3] {
    [
        Shelf::memory().engine().await,
        Shelf::memory().always_replay().engine().await,
        Engine::in_memory(),
    ]
}

/// AT-6 (a). No default limit of the workflow's time fires meanwhile.
#[tokio::test(start_paused = true)]
async fn an_approval_at_the_last_minute_is_in_time() {
    for engine in both().await {
        let handle = document_approval
            .on(&engine)
            .start("plan".into())
            .await
            .unwrap();
        tokio::time::sleep(hours(48) - mins(1)).await;
        assert_eq!(handle.status().await.unwrap(), Status::Running);
        approve(&engine, handle.execution_id(), "document_approved").await;
        let run = handle.wait().await.unwrap();
        assert_eq!(run.output().unwrap(), "plan, approved by Ada");
        assert_eq!(started(run.execution_id()), ["submit", "notify", "publish"]);
    }
}

/// AT-6 (b).
#[tokio::test(start_paused = true)]
async fn silence_escalates_and_the_escalation_is_approved() {
    for engine in both().await {
        let handle = document_approval
            .on(&engine)
            .start("plan".into())
            .await
            .unwrap();
        tokio::time::sleep(hours(48) + mins(10)).await;
        assert_eq!(
            started(handle.execution_id()),
            ["submit", "notify", "escalate"]
        );
        tokio::time::sleep(hours(23)).await;
        approve(&engine, handle.execution_id(), "escalated_approval").await;
        let run = handle.wait().await.unwrap();
        assert_eq!(run.output().unwrap(), "plan, approved by Ada");
        assert_eq!(
            started(run.execution_id()),
            ["submit", "notify", "escalate", "publish"]
        );
    }
}

/// AT-6 (c).
#[tokio::test(start_paused = true)]
async fn silence_to_the_end_fails_and_publishes_nothing() {
    for engine in both().await {
        let run = document_approval
            .on(&engine)
            .run("plan".into())
            .await
            .unwrap();
        assert!(run.has_failed());
        assert!(
            run.failure()
                .unwrap()
                .message()
                .contains("escalated_approval")
        );
        assert_eq!(
            started(run.execution_id()),
            ["submit", "notify", "escalate"]
        );
        assert!(
            run.duration() >= hours(72) && run.duration() < hours(73),
            "{:?}",
            run.duration()
        );
    }
}

/// AT-6 (d).
#[tokio::test(start_paused = true)]
async fn an_approval_that_comes_too_late_has_no_effect() {
    for engine in both().await {
        let handle = document_approval
            .on(&engine)
            .start("plan".into())
            .await
            .unwrap();
        tokio::time::sleep(hours(48) + mins(10)).await;
        approve(&engine, handle.execution_id(), "document_approved").await;
        let run = handle.wait().await.unwrap();
        assert!(run.has_failed());
        assert_eq!(
            started(run.execution_id()),
            ["submit", "notify", "escalate"]
        );
    }
}

/// AT-6 (e).
#[tokio::test(start_paused = true)]
async fn an_approval_that_came_before_the_wait_is_taken_at_once() {
    for engine in both().await {
        let handle = document_approval
            .on(&engine)
            .start("plan".into())
            .await
            .unwrap();
        approve(&engine, handle.execution_id(), "document_approved").await;
        let run = handle.wait().await.unwrap();
        assert_eq!(run.output().unwrap(), "plan, approved by Ada");
        assert!(run.duration() < mins(1), "{:?}", run.duration());
        assert_eq!(started(run.execution_id()), ["submit", "notify", "publish"]);
    }
}
