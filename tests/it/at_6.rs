//! AT-6: a document that waits for its approval: two days, then one more after an escalation. Meanwhile it sleeps, and a
//! worker wakes it.

use std::time::{Duration, SystemTime};

use flux::time::{hours, mins};
use flux::{
    Engine, EventKind, ExecutionContext, ExecutionId, Handle, RunningWorker, Status, task, workflow,
};
use serde::{Deserialize, Serialize};

use crate::support::{HandClock, Shelf, asleep, begin, count, started, utc};

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

fn noon() -> SystemTime {
    utc("2024-01-01T12:00:00Z")
}

/// An engine whose executions sleep whenever they wait, and its worker.
struct Office {
    _shelf: Shelf,
    clock: HandClock,
    engine: Engine,
    worker: RunningWorker,
}

impl Office {
    async fn every_way() -> Vec<Self> {
        let mut offices = Vec::new();
        for shelf in Shelf::every_way().await {
            let clock = HandClock::at(noon());
            let builder = shelf.builder().clock(clock.clone());
            let engine = builder.idle_after(Duration::ZERO).build().await.unwrap();
            let worker = engine.worker().spawn();
            offices.push(Self {
                _shelf: shelf,
                clock,
                engine,
                worker,
            });
        }
        offices
    }

    async fn submit(&self) -> Handle<String> {
        let start = document_approval.on(&self.engine).start("plan".to_owned());
        start.await.unwrap()
    }

    async fn approve(&self, id: &ExecutionId, signal: &str) {
        let approval = Approval { by: "Ada".into() };
        self.engine.signal(id, signal, &approval).await.unwrap();
    }

    /// Lets `span` pass since the document was submitted, once it sleeps until `deadline`.
    async fn later(&self, id: &ExecutionId, deadline: Duration, span: Duration) {
        loop {
            let run = asleep(&self.engine, id).await;
            assert_eq!(run.status(), Status::Running);
            if run.wakes_at() == Some(noon() + deadline) {
                break;
            }
            tokio::task::yield_now().await;
        }
        self.clock.set(noon() + span);
    }
}

/// No default limit of the workflow's time fires meanwhile.
#[tokio::test]
async fn at_6_a_an_approval_at_the_last_minute_is_in_time() {
    for office in Office::every_way().await {
        let handle = office.submit().await;
        let id = handle.execution_id();
        let almost = hours(48) - mins(1);
        office.later(id, hours(48), almost).await;
        office.approve(id, "document_approved").await;
        let run = handle.wait().await.unwrap();
        assert_eq!(run.output().unwrap(), "plan, approved by Ada");
        assert_eq!(run.duration(), almost);
        assert_eq!(started(id), ["submit", "notify", "publish"]);
        office.worker.stop().await;
    }
}

#[tokio::test]
async fn at_6_b_silence_escalates_and_the_escalation_is_approved() {
    for office in Office::every_way().await {
        let handle = office.submit().await;
        let id = handle.execution_id();
        office.later(id, hours(48), hours(48)).await;
        office.later(id, hours(72), hours(72) - mins(1)).await;
        assert_eq!(started(id), ["submit", "notify", "escalate"]);
        office.approve(id, "escalated_approval").await;
        let run = handle.wait().await.unwrap();
        assert_eq!(run.output().unwrap(), "plan, approved by Ada");
        assert_eq!(started(id), ["submit", "notify", "escalate", "publish"]);
        office.worker.stop().await;
    }
}

#[tokio::test]
async fn at_6_c_silence_to_the_end_fails_and_publishes_nothing() {
    for office in Office::every_way().await {
        let handle = office.submit().await;
        let id = handle.execution_id();
        office.later(id, hours(48), hours(48)).await;
        office.later(id, hours(72), hours(72)).await;
        let run = handle.wait().await.unwrap();
        let failure = run.failure().unwrap();
        assert!(
            failure
                .message()
                .contains("SignalTimeout escalated_approval"),
            "{failure}"
        );
        assert_eq!(started(id), ["submit", "notify", "escalate"]);
        assert_eq!(run.duration(), hours(72));
        office.worker.stop().await;
    }
}

#[tokio::test]
async fn at_6_d_an_approval_that_comes_too_late_has_no_effect() {
    for office in Office::every_way().await {
        let handle = office.submit().await;
        let id = handle.execution_id();
        office.later(id, hours(48), hours(48)).await;
        office.later(id, hours(72), hours(50)).await;
        office.approve(id, "document_approved").await;
        // It has been looked at and is left in the inbox.
        office.later(id, hours(72), hours(72)).await;
        let run = handle.wait().await.unwrap();
        assert!(run.has_failed(), "{run}");
        assert_eq!(started(id), ["submit", "notify", "escalate"]);
        let received = count(&office.engine, id, EventKind::SignalReceived).await;
        assert_eq!(received, 0);
        office.worker.stop().await;
    }
}

#[tokio::test]
async fn at_6_e_an_approval_that_came_before_the_wait_is_taken_at_once() {
    for office in Office::every_way().await {
        // It waits for its turn, and the approval comes sooner.
        office.engine.queue("documents").pause().await.unwrap();
        let start = document_approval
            .on(&office.engine)
            .start("plan".to_owned())
            .queue("documents");
        let handle = start.await.unwrap();
        let id = handle.execution_id();
        office.approve(id, "document_approved").await;
        assert!(started(id).is_empty());
        office.engine.queue("documents").resume().await.unwrap();
        let run = handle.wait().await.unwrap();
        assert_eq!(run.output().unwrap(), "plan, approved by Ada");
        assert!(run.duration() < mins(1), "{:?}", run.duration());
        assert_eq!(started(id), ["submit", "notify", "publish"]);
        office.worker.stop().await;
    }
}

/// Without a worker the engine that started it drives it, and it stays in memory.
#[tokio::test(start_paused = true)]
async fn at_6_without_a_worker_it_goes_the_same_way() {
    for shelf in [Shelf::memory(), Shelf::memory().always_replay()] {
        let engine = shelf.engine().await;
        let on = document_approval.on(&engine);
        let approval = Approval { by: "Ada".into() };

        let handle = on.start("plan".into()).await.unwrap();
        tokio::time::sleep(hours(48) - mins(1)).await;
        assert_eq!(handle.status().await.unwrap(), Status::Running);
        handle.signal("document_approved", &approval).await.unwrap();
        let run = handle.wait().await.unwrap();
        assert_eq!(started(run.execution_id()), ["submit", "notify", "publish"]);

        let handle = on.start("plan".into()).await.unwrap();
        tokio::time::sleep(hours(48) + mins(10)).await;
        handle.signal("document_approved", &approval).await.unwrap();
        let run = handle.wait().await.unwrap();
        assert!(run.has_failed());
        assert_eq!(
            started(run.execution_id()),
            ["submit", "notify", "escalate"]
        );

        let handle = on.start("plan".into()).await.unwrap();
        handle.signal("document_approved", &approval).await.unwrap();
        let run = handle.wait().await.unwrap();
        assert!(run.has_succeeded() && run.duration() < mins(1), "{run}");
    }
}
