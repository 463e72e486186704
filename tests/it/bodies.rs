//! What a body knows of itself, and what its error is after a replay.

use std::collections::BTreeMap;
use std::sync::{LazyLock, Mutex};
use std::time::Duration;

use flux::{EventKind, ExecutionContext, TaskError, task, workflow};
use serde::{Deserialize, Serialize};

use crate::support::{Shelf, When, begin, names, ran, unique};

static KEYS: LazyLock<Mutex<BTreeMap<String, Vec<(String, u32)>>>> = LazyLock::new(Mutex::default);

#[task(max_attempts = 3, backoff = "fixed(1ms)")]
async fn pay(amount: u32) -> Result<u32, String> {
    let nth = begin();
    let context = flux::task_context().unwrap();
    assert_eq!(context.task(), "pay");
    let entry = (flux::idempotency_key(), context.attempt());
    let id = context.execution_id().to_string();
    KEYS.lock().unwrap().entry(id).or_default().push(entry);
    match nth % 3 {
        0 => Ok(amount),
        _ => Err("again".to_owned()),
    }
}

#[workflow]
async fn pay_twice(_ctx: ExecutionContext) -> Result<u32, TaskError> {
    Ok(pay(5).await? + pay(5).await?)
}

#[tokio::test(start_paused = true)]
async fn an_idempotency_key_is_that_of_its_call_in_every_attempt_and_after_a_crash() {
    let shelf = Shelf::memory();
    let id = unique("pay");
    let engine = shelf.engine().await;
    // Cut off in the middle of the second call's attempts.
    shelf.stop_at(6, When::BeforeCommit);
    assert!(
        shelf
            .crash(pay_twice.on(&engine).run(()).execution_id(&id))
            .await
            .is_none()
    );
    drop(engine);
    shelf.nobody_is_left().await;
    shelf.go_on();
    let run = pay_twice
        .on(&shelf.engine().await)
        .resume(&id)
        .await
        .unwrap();
    assert_eq!(run.output(), Some(&10));
    let keys = KEYS.lock().unwrap()[id.as_str()].clone();
    assert_eq!(keys.len(), ran(&id, "pay"));
    let mut distinct: Vec<_> = keys.iter().map(|(key, _)| key.as_str()).collect();
    distinct.dedup();
    assert_eq!(distinct.len(), 2, "{keys:?}");
    assert!(distinct[0].starts_with(id.as_str()));
    let attempts: Vec<u32> = keys.iter().map(|(_, attempt)| *attempt).collect();
    assert_eq!(attempts[..4], [1, 2, 3, 1], "{attempts:?}");
    assert!(attempts[3..].is_sorted(), "{attempts:?}");
}

#[derive(Debug, PartialEq, Serialize, Deserialize, thiserror::Error)]
#[error("declined")]
struct Declined {
    code: u32,
    #[source]
    #[serde(skip)]
    cause: Option<std::num::ParseIntError>,
}

#[task]
async fn decline() -> Result<(), Declined> {
    let cause = "x".parse::<u32>().err();
    Err(Declined { code: 51, cause })
}

#[task]
async fn decline_anyhow() -> anyhow::Result<()> {
    decline().await?;
    Ok(())
}

#[workflow]
async fn look_at_errors(_ctx: ExecutionContext) -> Vec<String> {
    let own = decline().await.unwrap_err();
    let boxed = decline_anyhow().await.unwrap_err();
    flux::pause("look").await;
    let declined = own.downcast::<Declined>();
    vec![
        format!("{:?}", declined.map(|declined| declined.code)),
        format!("{:?}", own.chain()),
        format!("{:?}", own.downcast::<String>()),
        boxed.to_string(),
        format!("{}", anyhow::Error::from(own).root_cause()),
    ]
}

#[tokio::test]
async fn an_error_is_whole_after_a_replay() {
    for shelf in Shelf::every_way().await {
        let run = look_at_errors
            .on(&shelf.engine().await)
            .run(())
            .await
            .unwrap();
        let run = look_at_errors
            .on(&shelf.engine().await)
            .resume(run.execution_id())
            .await
            .unwrap();
        let seen = run.output().unwrap();
        assert_eq!(seen[0], "Some(51)");
        assert_eq!(seen[1], r#"["invalid digit found in string"]"#);
        assert_eq!(seen[2], "None");
        assert!(
            seen[3].contains("decline") && seen[3].contains("declined"),
            "{}",
            seen[3]
        );
        assert_eq!(seen[4], "invalid digit found in string");
    }
}

#[task]
async fn dawdle() -> String {
    begin();
    tokio::time::sleep(Duration::from_secs(25)).await;
    "in time".to_owned()
}

#[task]
async fn note(what: String) -> String {
    begin();
    what
}

#[workflow]
async fn wait_and_dawdle(_ctx: ExecutionContext) -> Result<String, TaskError> {
    let timed = flux::timeout(Duration::from_secs(30), dawdle());
    let later = async {
        flux::sleep(Duration::from_secs(20)).await;
        note("twenty".into()).await
    };
    let sooner = async {
        flux::sleep(Duration::from_secs(10)).await;
        note("ten".into()).await
    };
    let (timed, later, sooner) = tokio::join!(timed, later, sooner);
    (later?, sooner?);
    timed.unwrap_or_else(|_| Ok("too late".to_owned()))
}

/// PITFALL: after a long downtime, timers that were all overdue came in any order, and the one that limited a body
/// came after that body had been run again.
#[tokio::test(start_paused = true)]
async fn overdue_timers_come_in_their_order_before_bodies_run_again() {
    for downtime in [0, 60] {
        let shelf = Shelf::memory();
        let id = unique("dawdle");
        let engine = shelf.engine().await;
        shelf.stop_at(2, When::BeforeCommit);
        assert!(
            shelf
                .crash(wait_and_dawdle.on(&engine).run(()).execution_id(&id))
                .await
                .is_none()
        );
        drop(engine);
        shelf.nobody_is_left().await;
        shelf.go_on();
        tokio::time::sleep(Duration::from_secs(downtime)).await;
        let engine = shelf.engine().await;
        let run = wait_and_dawdle.on(&engine).resume(&id).await.unwrap();
        // Ten seconds had passed: without a downtime twenty are left, too few to dawdle once more.
        assert_eq!(run.output().unwrap(), "too late");
        let events = run.events().await.unwrap();
        let noted: Vec<_> = names(&events, EventKind::TaskStarted).split_off(1);
        assert_eq!(noted, ["note", "note"]);
        let inputs: Vec<_> = events
            .iter()
            .filter(|event| event.name.as_deref() == Some("note"))
            .collect();
        assert!(inputs[0].payload.as_ref().unwrap().as_str().contains("ten"));
        if downtime > 0 {
            assert_eq!(
                ran(&id, "dawdle"),
                1,
                "it was cut off, and then it was too late"
            );
        }
    }
}
