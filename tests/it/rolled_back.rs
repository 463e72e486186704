//! What a resume of an execution does that was rolled back: what was undone runs again under new keys, and a person is
//! asked again.

use flux::{EventKind, ExecutionContext, TaskError, task, task_context, workflow};

use crate::support::{Shelf, begin, code_of, count, ran, set_code, unique};

#[task(rollback = free_stock)]
async fn take_stock(item: String) -> String {
    begin();
    let _ = item;
    flux::idempotency_key()
}

#[task]
async fn free_stock(_item: String, _key: Option<String>) {
    begin();
}

#[task(rollback = fail_to_refund)]
async fn take_money() -> u32 {
    begin();
    1
}

#[task]
async fn fail_to_refund(_taken: Option<u32>) -> Result<(), String> {
    begin();
    Err("the bank is closed".to_owned())
}

#[task]
async fn deliver() -> Result<u32, String> {
    begin();
    match code_of(task_context().unwrap().execution_id()) {
        0 => Err("the door is closed".to_owned()),
        _ => Ok(7),
    }
}

#[workflow]
async fn sell_tea(_ctx: ExecutionContext) -> Result<(u32, String), TaskError> {
    let key = take_stock("tea".to_owned()).await?;
    let approved = flux::pause("approval").value::<u32>().await;
    let paid = flux::signal::<u32>("paid").ask_again_after_rollback().await;
    take_money().await?;
    deliver().await?;
    Ok((approved + paid, key))
}

#[workflow]
async fn sell_to_a_friend(_ctx: ExecutionContext) -> Result<(u32, String), TaskError> {
    let key = take_stock("tea".to_owned()).await?;
    flux::pause("greeting").keep_after_rollback().await;
    let approved = flux::pause("approval")
        .keep_after_rollback()
        .value::<u32>()
        .await;
    let paid = flux::signal::<u32>("paid").await;
    deliver().await?;
    Ok((approved + paid, key))
}

/// Undoes what it did by itself, and tries again.
#[workflow(max_attempts = 2)]
async fn sell_stubbornly(_ctx: ExecutionContext) -> Result<u32, TaskError> {
    take_stock("tea".to_owned()).await?;
    let approved = flux::pause("approval").value::<u32>().await;
    if let Err(error) = deliver().await {
        flux::roll_back().await?;
        return Err(error);
    }
    Ok(approved)
}

#[workflow]
async fn sell_through_a_child(_ctx: ExecutionContext) -> Result<u32, TaskError> {
    take_money().await?;
    sell_at_once.call(()).await
}

#[workflow]
async fn sell_at_once(_ctx: ExecutionContext) -> Result<u32, TaskError> {
    take_stock("tea".to_owned()).await?;
    deliver_to_shop().await
}

#[task]
async fn deliver_to_shop() -> Result<u32, String> {
    Err("the shop is closed".to_owned())
}

/// Fails without anything that could be undone.
#[workflow]
async fn ask_only(_ctx: ExecutionContext) -> Result<u32, TaskError> {
    let approved = flux::pause("approval").value::<u32>().await;
    let paid = flux::signal::<u32>("paid").await;
    deliver().await?;
    Ok(approved + paid)
}

/// The old approval was used for the new charge.
#[tokio::test]
async fn a_person_is_asked_again_for_what_was_rolled_back() {
    for shelf in Shelf::every_way().await {
        let engine = shelf.engine().await;
        let id = unique("sale");
        let on = sell_tea.on(&engine);
        let run = on.run(()).execution_id(&id).await.unwrap();
        assert_eq!(run.pause_point(), Some("approval"));
        engine.signal(&id, "paid", &10).await.unwrap();
        let run = on.resume(&id).with(&1).await.unwrap();
        let failure = run.failure().unwrap();
        assert!(failure.is_rolled_back(), "{run}");
        // What could not be undone keeps its result.
        assert_eq!(failure.undone().collect::<Vec<_>>(), ["take_stock"]);
        assert_eq!(ran(&id, "fail_to_refund"), 1);

        // Asked again, and once more after it has failed once more.
        for (approval, payment, code) in [(2, 20, 0), (3, 30, 1)] {
            let run = on.resume(&id).await.unwrap();
            assert_eq!(run.pause_point(), Some("approval"), "{run}");
            set_code(&id, code);
            engine.signal(&id, "paid", &payment).await.unwrap();
            let run = on.resume(&id).with(&approval).await.unwrap();
            assert_eq!(run.has_failed(), code == 0, "{run}");
        }
        let run = on.get(&id).await.unwrap();
        let (sum, key) = run.output().unwrap();
        assert_eq!(*sum, 33);
        assert_eq!((ran(&id, "take_stock"), ran(&id, "take_money")), (3, 1));
        assert!(!key.ends_with("/2"), "a new key: {key}");
        assert!(engine.replay(&id).await.unwrap().is_finished);
    }
}

#[tokio::test]
async fn an_answer_that_the_workflow_keeps_is_not_asked_for_again() {
    for shelf in Shelf::every_way().await {
        let engine = shelf.engine().await;
        let id = unique("sale");
        let on = sell_to_a_friend.on(&engine);
        let run = on.run(()).execution_id(&id).await.unwrap();
        assert!(run.is_paused(), "{run}");
        engine.signal(&id, "paid", &10).await.unwrap();
        let run = on.resume(&id).at("greeting").await.unwrap();
        assert!(run.is_paused(), "{run}");
        let run = on.resume(&id).at("approval").with(&1).await.unwrap();
        assert!(run.failure().unwrap().is_rolled_back(), "{run}");
        drop(run);
        set_code(&id, 1);
        let run = on.resume(&id).await.unwrap();
        assert_eq!(run.output().unwrap().0, 11, "{run}");
        assert_eq!(ran(&id, "take_stock"), 2);
    }
}

#[tokio::test]
async fn a_person_is_asked_again_by_an_attempt_of_code_that_undid_what_it_did() {
    for shelf in Shelf::every_way().await {
        let engine = shelf.engine().await;
        let id = unique("sale");
        let on = sell_stubbornly.on(&engine);
        let run = on.run(()).execution_id(&id).await.unwrap();
        assert!(run.is_paused(), "{run}");
        let run = on.resume(&id).with(&1).await.unwrap();
        assert_eq!(
            (run.pause_point(), run.attempt()),
            (Some("approval"), 2),
            "{run}"
        );
        set_code(&id, 1);
        let run = on.resume(&id).with(&2).await.unwrap();
        assert_eq!(run.output(), Some(&2), "{run}");
        assert_eq!(ran(&id, "take_stock"), 2);
    }
}

/// The parent had undone nothing itself, so a retry of it was said to keep what succeeded.
#[tokio::test]
async fn a_parent_says_what_was_undone_in_its_child() {
    for shelf in Shelf::every_way().await {
        let engine = shelf.engine().await;
        let id = unique("sale");
        let on = sell_through_a_child.on(&engine);
        let run = on.run(()).execution_id(&id).await.unwrap();
        let failure = run.failure().unwrap();
        let undone: Vec<&str> = failure.undone().collect();
        // Its own rollback failed, so only the child's task runs again.
        assert_eq!(undone, ["take_stock"], "{run}");
    }
}

#[tokio::test]
async fn without_a_rollback_answers_stay_given() {
    for shelf in Shelf::every_way().await {
        let engine = shelf.engine().await;
        let id = unique("question");
        let on = ask_only.on(&engine);
        let run = on.run(()).execution_id(&id).await.unwrap();
        assert!(run.is_paused(), "{run}");
        engine.signal(&id, "paid", &10).await.unwrap();
        let run = on.resume(&id).with(&1).await.unwrap();
        assert!(!run.failure().unwrap().is_rolled_back(), "{run}");
        set_code(&id, 1);
        let run = on.resume(&id).await.unwrap();
        assert_eq!(run.output(), Some(&11), "{run}");
        assert_eq!(count(&engine, &id, EventKind::PauseReached).await, 1);
    }
}
