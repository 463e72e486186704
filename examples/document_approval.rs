//! A document waits for people: two days for an editor, then one day for the manager.
//!
//! ```text
//! cargo run --example document_approval
//! ```
//!
//! Approvals are signals, sent by `engine.signal(..)` from anywhere that has the file. Each wait is raced with a durable
//! timer. Waiting costs nothing and does not count against the workflow's `timeout`, which is of active time.
//!
//! This program runs on tokio's paused clock, which jumps to the next timer: days pass at once.

use std::time::Duration;

use flux::time::hours;
use flux::{Engine, ExecutionContext, TaskError, task, workflow};
use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Document {
    title: String,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Approval {
    by: String,
}

#[derive(Debug, thiserror::Error, Serialize, Deserialize)]
enum ReviewError {
    #[error("nobody sent `{signal}` in time")]
    SignalTimeout { signal: String },
    #[error(transparent)]
    Task(#[from] TaskError),
}

#[task]
async fn submit_for_review(document: Document) -> Document {
    document
}

#[task]
async fn send_review_notifications(document: Document) -> String {
    format!("mailed the editors about {:?}", document.title)
}

#[task]
async fn escalate_to_manager(document: Document) -> String {
    format!("mailed the manager about {:?}", document.title)
}

#[task]
async fn publish_document(document: Document, approval: Approval) -> String {
    format!("{:?}, approved by {}", document.title, approval.by)
}

#[workflow(timeout = "1h")]
async fn review_document(ctx: ExecutionContext<Document>) -> Result<String, ReviewError> {
    let document = submit_for_review(ctx.input().clone()).await?;
    send_review_notifications(document.clone()).await?;
    let approval = if let Ok(approval) = await_signal("document_approved", hours(48)).await {
        approval
    } else {
        escalate_to_manager(document.clone()).await?;
        await_signal("escalated_approval", hours(24)).await?
    };
    Ok(publish_document(document, approval).await?)
}

async fn await_signal(signal: &str, limit: Duration) -> Result<Approval, ReviewError> {
    let answer = flux::timeout(limit, flux::signal(signal)).await;
    answer.map_err(|_elapsed| ReviewError::SignalTimeout {
        signal: signal.to_owned(),
    })
}

#[tokio::main(flavor = "current_thread", start_paused = true)]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let engine = Engine::in_memory();
    let stories = [
        (
            "The editor approves on the second day",
            47,
            "document_approved",
            "the editor",
        ),
        (
            "The editor is away, the manager approves",
            60,
            "escalated_approval",
            "the manager",
        ),
        (
            "Nobody answers for three days",
            90,
            "escalated_approval",
            "the manager",
        ),
    ];
    for (story, hour, signal, by) in stories {
        let document = Document {
            title: "Annual report".to_owned(),
        };
        let handle = review_document.on(&engine).start(document).await?;
        tokio::time::sleep(hours(hour)).await;
        println!("{story}.\n  {by} approves after {hour} hours");
        if let Err(error) = handle.signal(signal, &Approval { by: by.to_owned() }).await {
            println!("  too late: {error}");
        }
        println!("  {}", handle.wait().await?);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use tokio::time::Instant;

    use super::*;
    use flux::time::mins;
    use flux::{EventKind, Execution, Handle};

    async fn submit(engine: &Engine) -> Handle<String> {
        let document = Document {
            title: "Report".to_owned(),
        };
        review_document.on(engine).start(document).await.unwrap()
    }

    async fn approve(handle: &Handle<String>, signal: &str, by: &str) {
        handle
            .signal(signal, &Approval { by: by.to_owned() })
            .await
            .unwrap();
    }

    /// The tasks that were called, in order.
    async fn steps(run: &Execution<String>) -> Vec<String> {
        run.tasks()
            .await
            .unwrap()
            .iter()
            .map(|task| task.name().to_owned())
            .collect()
    }

    const APPROVED: [&str; 3] = [
        "submit_for_review",
        "send_review_notifications",
        "publish_document",
    ];
    const ESCALATED: [&str; 4] = [
        "submit_for_review",
        "send_review_notifications",
        "escalate_to_manager",
        "publish_document",
    ];

    #[tokio::test(start_paused = true)]
    async fn approved_in_the_last_minute_it_is_published_and_nobody_is_bothered() {
        let engine = Engine::in_memory();
        let handle = submit(&engine).await;
        tokio::time::sleep(mins(48 * 60 - 1)).await;
        approve(&handle, "document_approved", "Ada").await;
        let run = handle.wait().await.unwrap();
        assert_eq!(run.output().unwrap(), "\"Report\", approved by Ada");
        assert_eq!(steps(&run).await, APPROVED);
    }

    #[tokio::test(start_paused = true)]
    async fn after_two_days_the_manager_is_asked() {
        let engine = Engine::in_memory();
        let handle = submit(&engine).await;
        tokio::time::sleep(mins((48 + 24) * 60 - 1)).await;
        approve(&handle, "escalated_approval", "Grace").await;
        let run = handle.wait().await.unwrap();
        assert_eq!(run.output().unwrap(), "\"Report\", approved by Grace");
        assert_eq!(steps(&run).await, ESCALATED);
    }

    #[tokio::test(start_paused = true)]
    async fn after_three_days_of_silence_it_fails_and_is_not_published() {
        let before = Instant::now();
        let run = submit(&Engine::in_memory()).await.wait().await.unwrap();
        let days = before.elapsed().as_secs_f64() / hours(24).as_secs_f64();
        assert!((2.99..3.01).contains(&days), "{days}");
        let failure = run.failure().unwrap();
        let error = failure.downcast::<ReviewError>();
        assert!(
            matches!(&error, Some(ReviewError::SignalTimeout { signal }) if signal == "escalated_approval"),
            "{failure:?}"
        );
        assert_eq!(steps(&run).await, ESCALATED[..3]);
    }

    #[tokio::test(start_paused = true)]
    async fn an_approval_that_comes_after_the_escalation_changes_nothing() {
        let engine = Engine::in_memory();
        let handle = submit(&engine).await;
        tokio::time::sleep(hours(49)).await;
        approve(&handle, "document_approved", "Ada").await;
        tokio::time::sleep(hours(1)).await;
        assert!(!handle.status().await.unwrap().is_finished());
        approve(&handle, "escalated_approval", "Grace").await;
        let run = handle.wait().await.unwrap();
        assert_eq!(run.output().unwrap(), "\"Report\", approved by Grace");
        let events = run.events().await.unwrap();
        assert_eq!(
            events
                .iter()
                .filter(|event| event.kind == EventKind::SignalReceived)
                .count(),
            1
        );
    }

    #[tokio::test(start_paused = true)]
    async fn an_approval_that_comes_before_the_wait_is_taken_at_once() {
        let engine = Engine::in_memory();
        let handle = submit(&engine).await;
        approve(&handle, "document_approved", "Ada").await;
        let before = Instant::now();
        let run = handle.wait().await.unwrap();
        assert_eq!(steps(&run).await, APPROVED);
        assert!(before.elapsed() < mins(1));
    }
}
