//! Requests: an engine that only asks, and a worker of another that has the code.

use std::sync::Arc;
use std::time::Duration;

use flux::store::{MemoryStore, NewMessage, Store};
use flux::{
    Engine, Error, EventKind, Execution, ExecutionContext, ExecutionId, Handle, PausePoint, Status,
    TaskError, task, task_context, workflow,
};
use serde_json::Value;

use crate::support::{
    Greeter, Shelf, asleep, begin, code_of, count, lines, payloads, ran, set_code, started, unique,
};

/// The repair of what is broken.
pub(crate) const REPAIRED: u32 = 1;

pub(crate) fn is_repaired() -> bool {
    code_of(task_context().unwrap().execution_id()) == REPAIRED
}

#[task]
pub(crate) async fn note(what: String) -> String {
    begin();
    what
}

#[task]
async fn send(what: String) -> Result<String, String> {
    begin();
    match is_repaired() {
        true => Ok(format!("sent {what}")),
        false => Err("the lorry broke down".to_owned()),
    }
}

#[task(at_most_once)]
async fn charge(amount: u32) -> Result<u32, String> {
    if begin() == 1 {
        return Err("the card was refused".to_owned());
    }
    std::future::pending::<()>().await;
    Ok(amount)
}

#[workflow]
async fn review_twice(_ctx: ExecutionContext) -> Result<u32, TaskError> {
    flux::pause("review").await;
    note("between".into()).await?;
    flux::pause("review").await;
    Ok(2)
}

#[workflow]
async fn ask_amount(_ctx: ExecutionContext) -> u32 {
    flux::pause("amount").value::<u32>().await
}

/// Runs it in a process of its own until it pauses or fails.
async fn settled<O>(shelf: &Shelf, run: impl AsyncFnOnce(&Engine) -> Execution<O>) -> ExecutionId {
    let first = shelf.engine().await;
    run(&first).await.execution_id().clone()
}

/// Waits until the execution is paused and everybody has let go of it, every message read.
async fn at_rest<O>(handle: &Handle<O>, engine: &Engine) -> Execution
where
    O: serde::de::DeserializeOwned,
{
    let _ = handle.wait().await;
    asleep(engine, handle.execution_id()).await
}

#[tokio::test]
async fn a_worker_goes_on_with_what_was_requested_and_nothing_runs_where_it_was_asked() {
    for shelf in Shelf::every_way().await {
        let id = settled(&shelf, async |on| {
            review_twice.on(on).run(()).await.unwrap()
        })
        .await;
        let asker = shelf.engine().await;
        let handle = asker.resume(&id).request().await.unwrap();
        // Durable, and nobody has the code.
        assert_eq!(asker.get(&id).await.unwrap().status(), Status::Paused);
        assert_eq!(ran(&id, "note"), 0);

        let hand = shelf.engine().await;
        let worker = hand.worker().spawn();
        let paused = at_rest(&handle, &asker).await;
        assert!(paused.is_paused(), "{paused}");
        assert_eq!(ran(&id, "note"), 1);
        assert_eq!(count(&asker, &id, EventKind::PauseAnswered).await, 1);

        let handle = review_twice.on(&asker).resume(&id).at("review").request();
        let run = handle.await.unwrap().wait().await.unwrap();
        assert_eq!(run.output(), Some(&2));
        // Done is done.
        let done = asker.resume(&id).request().await.unwrap();
        assert!(done.wait().await.unwrap().has_succeeded());
        worker.stop().await;
    }
}

#[tokio::test]
async fn a_repeated_request_never_answers_the_next_pause_of_the_same_name() {
    for shelf in Shelf::every_way().await {
        let id = settled(&shelf, async |on| {
            review_twice.on(on).run(()).await.unwrap()
        })
        .await;
        let asker = shelf.engine().await;
        for _ in 0..3 {
            asker.resume(&id).at("review").request().await.unwrap();
        }
        let handle = asker.resume(&id).request().await.unwrap();
        let hand = shelf.engine().await;
        let worker = hand.worker().spawn();
        let paused = at_rest(&handle, &asker).await;
        assert_eq!(paused.pause_point(), Some("review"));
        assert_eq!(count(&asker, &id, EventKind::PauseReached).await, 2);
        assert_eq!(count(&asker, &id, EventKind::PauseAnswered).await, 1);
        worker.stop().await;
    }
}

#[tokio::test]
async fn a_resume_delivers_what_was_asked_for_elsewhere_and_nothing_in_its_stead() {
    for shelf in Shelf::every_way().await {
        let id = settled(&shelf, async |on| ask_amount.on(on).run(()).await.unwrap()).await;
        let asker = shelf.engine().await;
        let ask = |value: u32| asker.resume(&id).at("amount").with(&value).request();
        ask(7).await.unwrap();
        // Of several the first that fits counts.
        ask(8).await.unwrap();
        let here = shelf.engine().await;
        let other = ask_amount.on(&here).resume(&id).with(&8).await;
        assert!(
            matches!(other, Err(Error::AlreadyAnswered { .. })),
            "{other:?}"
        );

        let run = ask_amount.on(&here).resume(&id).await.unwrap();
        assert_eq!(run.output(), Some(&7));
    }
}

#[tokio::test]
async fn a_request_that_comes_late_is_dropped_and_the_next_pause_waits_on() {
    let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
    let engine = async || {
        let builder = Engine::builder().shared_store(Arc::clone(&store));
        builder.state(Greeter { word: "hi" }).build().await.unwrap()
    };
    let asker = engine().await;
    let paused = review_twice.on(&asker).run(()).await.unwrap();
    let id = paused.execution_id().clone();
    let handle = asker.resume(&id).request().await.unwrap();
    let key = store.execution(&id).await.unwrap().unwrap().key;
    let sent = store.inbox(key).await.unwrap().remove(0);
    let hand = engine().await;
    let worker = hand.worker().spawn();
    let _ = at_rest(&handle, &asker).await;
    assert_eq!(count(&asker, &id, EventKind::PauseReached).await, 2);

    // It was on its way while another one was faster.
    let late = NewMessage {
        kind: sent.kind,
        name: sent.name,
        payload: sent.payload,
        dedup: None,
        at: sent.at,
    };
    store.post(&id, late).await.unwrap();
    assert!(at_rest(&handle, &asker).await.is_paused());
    assert_eq!(store.inbox(key).await.unwrap(), []);
    assert_eq!(count(&asker, &id, EventKind::PauseAnswered).await, 1);
    worker.stop().await;
}

#[tokio::test]
async fn a_value_of_a_wrong_type_leaves_it_paused_and_the_right_one_may_follow() {
    for shelf in Shelf::every_way().await {
        let id = settled(&shelf, async |on| ask_amount.on(on).run(()).await.unwrap()).await;
        let asker = shelf.engine().await;
        let before = asker.history(&id).await.unwrap();
        let waiting = asker.get(&id).await.unwrap();
        let hand = shelf.engine().await;
        let worker = hand.worker().spawn();
        let handle = asker.resume(&id).with("many").request().await.unwrap();
        let paused = at_rest(&handle, &asker).await;
        assert!(paused.is_paused(), "{paused}");
        assert_eq!(paused.ready_at(), None);
        assert_eq!(paused.pause_points(), waiting.pause_points());
        assert_eq!(asker.history(&id).await.unwrap(), before);

        let handle = ask_amount.on(&asker).resume(&id).with(&7).request();
        let run = handle.await.unwrap().wait().await.unwrap();
        assert_eq!(run.output(), Some(&7));
        worker.stop().await;
    }
}

#[workflow]
async fn ask_two(_ctx: ExecutionContext) -> u32 {
    let ((), amount) = tokio::join!(
        async {
            flux::pause("legal").await;
        },
        flux::pause("amount").value::<u32>()
    );
    amount
}

#[tokio::test]
async fn what_can_be_refused_without_the_code_is_refused_at_once_and_nothing_is_written() {
    for shelf in Shelf::each().await {
        let id = settled(&shelf, async |on| ask_two.on(on).run(()).await.unwrap()).await;
        let asker = shelf.engine().await;
        let refused = async |resume: flux::Resume<Value>| resume.request().await.unwrap_err();
        let error = refused(asker.resume(&id)).await;
        assert!(matches!(error, Error::AmbiguousPause { .. }), "{error}");
        let error = refused(asker.resume(&id).at("other")).await;
        assert!(matches!(error, Error::NotPausedAt { .. }), "{error}");
        let error = refused(asker.resume(&id).at("amount")).await;
        assert!(
            matches!(error, Error::ResumeValueRequired { .. }),
            "{error}"
        );
        let error = refused(asker.resume(&id).at("legal").with(&1)).await;
        assert!(matches!(error, Error::InvalidInput { .. }), "{error}");
        let error = refused(asker.retry(&id)).await;
        assert!(matches!(error, Error::NotFailed { .. }), "{error}");
        let error = refused(asker.resume("nobody")).await;
        assert!(matches!(error, Error::ExecutionNotFound { .. }), "{error}");
        let error = review_twice.on(&asker).resume(&id).request().await;
        assert!(matches!(error, Err(Error::WorkflowMismatch { .. })));
        assert_eq!(asker.get(&id).await.unwrap().ready_at(), None);

        asker.terminate(&id, "over").await.unwrap();
        let error = refused(asker.resume(&id)).await;
        assert!(matches!(error, Error::AlreadyFinished { .. }), "{error}");
    }
}

#[workflow]
async fn ask_through_child(_ctx: ExecutionContext) -> Result<u32, TaskError> {
    let amount = ask_between.call(()).await?;
    flux::pause("amount").value::<u32>().await;
    Ok(amount)
}

#[workflow]
async fn ask_between(_ctx: ExecutionContext) -> Result<u32, TaskError> {
    ask_amount.call(()).await
}

#[tokio::test]
async fn a_child_at_any_depth_is_answered_through_its_parent() {
    for shelf in Shelf::every_way().await {
        let id = settled(&shelf, async |on| {
            ask_through_child.on(on).run(()).await.unwrap()
        })
        .await;
        let asker = shelf.engine().await;
        let before = asker.get(&id).await.unwrap();
        let names: Vec<_> = before
            .pause_points()
            .iter()
            .map(PausePoint::full_name)
            .collect();
        assert_eq!(names, ["ask_between/ask_amount/amount"]);
        let handle = asker.resume(&id).with(&3).request().await.unwrap();
        asker.resume(&id).with(&4).request().await.unwrap();
        let hand = shelf.engine().await;
        let worker = hand.worker().spawn();
        let paused = at_rest(&handle, &asker).await;
        assert_eq!(paused.pause_points()[0].full_name(), "amount");

        let handle = ask_through_child.on(&asker).resume(&id).with(&5).request();
        let run = handle.await.unwrap().wait().await.unwrap();
        assert_eq!(run.output(), Some(&3));
        worker.stop().await;
    }
}

#[tokio::test]
async fn a_request_takes_an_execution_off_hold_and_answers_only_when_it_says_so() {
    for shelf in Shelf::every_way().await {
        let id = settled(&shelf, async |on| ask_amount.on(on).run(()).await.unwrap()).await;
        let asker = shelf.engine().await;
        asker.pause(&id).await.unwrap();
        let hand = shelf.engine().await;
        let worker = hand.worker().spawn();
        let handle = asker.resume(&id).request().await.unwrap();
        let paused = at_rest(&handle, &asker).await;
        assert_eq!((paused.held(), paused.is_paused()), (None, true));

        asker.pause(&id).await.unwrap();
        assert!(asleep(&asker, &id).await.held().is_some());
        let handle = asker.resume(&id).with(&9).request().await.unwrap();
        assert_eq!(handle.wait().await.unwrap().output(), Some(&9.into()));
        worker.stop().await;
    }
}

#[workflow]
async fn hear_one_word(_ctx: ExecutionContext) -> Result<String, TaskError> {
    note("listening".into()).await?;
    Ok(flux::signal::<String>("word").await)
}

#[tokio::test]
async fn an_execution_without_a_pause_point_runs_on_when_it_is_taken_off_hold() {
    for shelf in Shelf::every_way().await {
        let builder = || shelf.builder().idle_after(Duration::ZERO);
        let hand = builder().build().await.unwrap();
        let worker = hand.worker().spawn();
        let handle = hear_one_word.on(&hand).start(()).await.unwrap();
        let id = handle.execution_id().clone();
        hand.pause(&id).await.unwrap();
        assert!(handle.wait().await.unwrap().held().is_some());
        hand.signal(&id, "word", "late").await.unwrap();

        let asker = shelf.engine().await;
        let handle = asker.resume(&id).request().await.unwrap();
        assert_ne!(handle.status().await.unwrap(), Status::Paused);
        let run = handle.wait().await.unwrap();
        assert_eq!(run.output(), Some(&"late".into()));
        worker.stop().await;
    }
}

#[workflow]
async fn send_or_fail(_ctx: ExecutionContext) -> Result<String, TaskError> {
    let parcel = note("parcel".into()).await?;
    send(parcel).await
}

#[tokio::test]
async fn what_failed_is_tried_again_by_a_worker_and_every_success_is_kept() {
    for shelf in Shelf::every_way().await {
        let id = settled(&shelf, async |on| {
            send_or_fail.on(on).run(()).await.unwrap()
        })
        .await;
        let asker = shelf.engine().await;
        let handle = asker.retry(&id).request().await.unwrap();
        let reopened = asker.get(&id).await.unwrap();
        assert_eq!(
            (reopened.status(), reopened.attempt()),
            (Status::Running, 2)
        );
        let hand = shelf.engine().await;
        let worker = hand.worker().spawn();
        assert!(handle.wait().await.unwrap().has_failed());
        assert_eq!(started(&id), ["note", "send", "send"]);

        set_code(&id, REPAIRED);
        let handle = asker.resume(&id).request().await.unwrap();
        let run = handle.wait().await.unwrap();
        assert_eq!(run.output(), Some(&"sent parcel".into()));
        assert_eq!((run.attempt(), ran(&id, "note")), (3, 1));
        assert_eq!(count(&asker, &id, EventKind::TaskInterrupted).await, 0);
        let refused = asker.retry(&id).await.unwrap_err();
        assert!(matches!(refused, Error::NotFailed { .. }), "{refused}");
        worker.stop().await;
    }
}

#[tokio::test]
async fn a_request_leaves_the_history_that_an_awaited_resume_leaves() {
    for shelf in Shelf::every_way().await {
        let mut histories = Vec::new();
        for is_requested in [true, false] {
            let id = settled(&shelf, async |on| {
                send_or_fail.on(on).run(()).await.unwrap()
            })
            .await;
            set_code(&id, REPAIRED);
            let hand = shelf.engine().await;
            let worker = hand.worker().spawn();
            if is_requested {
                let handle = shelf.engine().await.retry(&id).request().await.unwrap();
                let _ = handle.wait().await.unwrap();
            } else {
                let _ = hand.retry(&id).await.unwrap();
            }
            worker.stop().await;
            histories.push(lines(&hand.history(&id).await.unwrap()));
        }
        assert_eq!(histories[0], histories[1]);
    }
}

#[workflow]
async fn charge_once(_ctx: ExecutionContext) -> Result<u32, TaskError> {
    charge(5).await
}

#[tokio::test]
async fn the_retry_of_a_task_that_runs_at_most_once_is_begun_once() {
    for shelf in Shelf::every_way().await {
        let id = settled(&shelf, async |on| charge_once.on(on).run(()).await.unwrap()).await;
        let asker = shelf.engine().await;
        asker.retry(&id).request().await.unwrap();
        let first = shelf.engine().await;
        let begun = async {
            while ran(&id, "charge") == 1 {
                tokio::task::yield_now().await;
            }
        };
        tokio::select! {
            biased;
            _ = first.recover() => panic!("it ended before it could die"),
            () = begun => {}
        }
        drop(first);
        let second = shelf.engine().await;
        let recovered = loop {
            let recovered = second.recover().await.unwrap();
            if !recovered.executions.is_empty() {
                break recovered;
            }
            tokio::task::yield_now().await;
        };
        let failure = recovered.executions[0].failure().unwrap();
        assert!(failure.message().contains("at_most_once"), "{failure}");
        assert_eq!(ran(&id, "charge"), 2);
    }
}

#[workflow]
async fn send_by_child(_ctx: ExecutionContext) -> Result<String, TaskError> {
    note("parent".into()).await?;
    let (heard, sent) = tokio::try_join!(hear_as_child.call(()), send_as_child.call(()))?;
    Ok(format!("{sent}, {heard}"))
}

#[workflow]
async fn send_as_child(_ctx: ExecutionContext) -> Result<String, TaskError> {
    let child = note("child".into()).await?;
    send(child).await
}

#[workflow]
async fn hear_as_child(_ctx: ExecutionContext) -> Result<String, TaskError> {
    Ok(flux::signal::<String>("word").await)
}

#[tokio::test]
async fn a_failed_parent_goes_on_with_its_children_those_it_cancelled_included() {
    for shelf in Shelf::every_way().await {
        let id = unique("family");
        settled(&shelf, async |on| {
            let run = send_by_child.on(on).run(()).execution_id(&id);
            run.await.unwrap()
        })
        .await;
        let asker = shelf.engine().await;
        let all = asker.list().limit(10).await.unwrap();
        let of = |workflow: &str| {
            let mut all = all.iter();
            let child = all.find(|run| run.workflow() == workflow).unwrap();
            child.execution_id().clone()
        };
        let (sender, hearer) = (of("send_as_child"), of("hear_as_child"));
        set_code(&sender, REPAIRED);
        let hand = shelf.engine().await;
        let worker = hand.worker().spawn();
        let handle = asker.retry(&id).request().await.unwrap();
        while asker.get(&hearer).await.unwrap().has_finished() {
            tokio::task::yield_now().await;
        }
        asker.signal(&hearer, "word", "heard").await.unwrap();
        let run = handle.wait().await.unwrap();
        assert_eq!(run.output(), Some(&"sent child, heard".into()), "{run}");
        assert_eq!((ran(&sender, "note"), ran(&sender, "send")), (1, 2));
        assert_eq!(ran(&id, "note"), 1);
        worker.stop().await;
    }
}

#[task(rollback = give_back)]
async fn take(what: String) -> String {
    begin();
    what
}

async fn give_back(what: String, _taken: Option<String>) {
    let _ = what;
}

#[workflow]
async fn take_and_send(_ctx: ExecutionContext) -> Result<String, TaskError> {
    let taken = take("lamp".into()).await?;
    let noted = note(taken).await?;
    send(noted).await
}

#[tokio::test]
async fn what_was_rolled_back_begins_anew_and_keeps_what_was_not_undone() {
    for shelf in Shelf::every_way().await {
        let id = settled(&shelf, async |on| {
            take_and_send.on(on).run(()).await.unwrap()
        })
        .await;
        set_code(&id, REPAIRED);
        let asker = shelf.engine().await;
        let handle = asker.retry(&id).request().await.unwrap();
        let hand = shelf.engine().await;
        let worker = hand.worker().spawn();
        let run = handle.wait().await.unwrap();
        assert_eq!(run.output(), Some(&"sent lamp".into()), "{run}");
        assert_eq!((ran(&id, "take"), ran(&id, "note")), (2, 1));
        worker.stop().await;
    }
}

#[workflow]
async fn decide(ctx: ExecutionContext<u32>) -> Result<u32, String> {
    if ctx.input() > &0 {
        note("thinking".into()).await.ok();
    }
    match code_of(ctx.execution_id()) {
        REPAIRED => Ok(1),
        _ => Err("I would rather not".to_owned()),
    }
}

#[tokio::test]
async fn what_decided_to_fail_by_itself_is_run_again_and_decides_again() {
    for shelf in Shelf::every_way().await {
        for calls in [0, 1] {
            let id = settled(&shelf, async |on| decide.on(on).run(calls).await.unwrap()).await;
            let asker = shelf.engine().await;
            let hand = shelf.engine().await;
            let worker = hand.worker().spawn();
            let handle = asker.retry(&id).request().await.unwrap();
            assert!(handle.wait().await.unwrap().has_failed());
            assert_eq!(count(&asker, &id, EventKind::WorkflowFailed).await, 2);
            set_code(&id, REPAIRED);
            let handle = asker.retry(&id).request().await.unwrap();
            assert_eq!(handle.wait().await.unwrap().output(), Some(&1.into()));
            assert_eq!(ran(&id, "note"), calls as usize);
            worker.stop().await;
        }
    }
}

#[workflow]
async fn hear_then_ask(_ctx: ExecutionContext) -> String {
    tokio::select! {
        word = flux::signal::<String>("word") => word,
        () = flux::pause("review") => "answered".to_owned(),
    }
}

#[tokio::test]
async fn what_came_in_before_the_answer_is_delivered_before_it() {
    for shelf in Shelf::every_way().await {
        for is_first in [true, false] {
            let id = settled(&shelf, async |on| {
                hear_then_ask.on(on).run(()).await.unwrap()
            })
            .await;
            let asker = shelf.engine().await;
            if is_first {
                asker.signal(&id, "word", "heard").await.unwrap();
            }
            let handle = asker.resume(&id).request().await.unwrap();
            if !is_first {
                asker.signal(&id, "word", "heard").await.unwrap();
            }
            let hand = shelf.engine().await;
            let worker = hand.worker().spawn();
            let run = handle.wait().await.unwrap();
            let expected = if is_first { "heard" } else { "answered" };
            assert_eq!(run.output(), Some(&expected.into()));
            worker.stop().await;
        }
    }
}

#[workflow]
async fn ask_at_each_try(_ctx: ExecutionContext) -> Result<u32, TaskError> {
    let asking = async { Ok(flux::pause("amount").value::<u32>().await) };
    let (amount, _) = tokio::try_join!(asking, send("first".into()))?;
    Ok(amount)
}

#[tokio::test]
async fn a_failed_execution_takes_no_answer_and_pauses_again_when_it_is_retried() {
    for shelf in Shelf::every_way().await {
        let id = settled(&shelf, async |on| {
            ask_at_each_try.on(on).run(()).await.unwrap()
        })
        .await;
        let asker = shelf.engine().await;
        let refused = asker.resume(&id).with(&1).request().await.unwrap_err();
        assert!(matches!(refused, Error::NotPaused { .. }), "{refused}");
        set_code(&id, REPAIRED);
        let hand = shelf.engine().await;
        let worker = hand.worker().spawn();
        let handle = asker.retry(&id).request().await.unwrap();
        let paused = at_rest(&handle, &asker).await;
        assert!(paused.is_paused(), "{paused}");
        let handle = asker.resume(&id).with(&1).request().await.unwrap();
        assert_eq!(handle.wait().await.unwrap().output(), Some(&1.into()));
        let events = asker.history(&id).await.unwrap();
        assert_eq!(payloads(&events, EventKind::PauseAnswered), ["1"]);
        worker.stop().await;
    }
}

#[workflow(max_attempts = 2)]
async fn ask_and_fail_once(ctx: ExecutionContext) -> Result<u32, String> {
    let failing = async {
        flux::signal::<()>("fail").await;
        match ctx.attempt() {
            1 => Err("not yet".to_owned()),
            _ => Ok(()),
        }
    };
    let asking = async { Ok(flux::pause("amount").value::<u32>().await) };
    let (amount, ()) = tokio::try_join!(asking, failing)?;
    Ok(amount)
}

#[tokio::test]
async fn an_answer_that_came_in_with_what_ended_an_attempt_is_given_to_the_next() {
    for shelf in Shelf::every_way().await {
        let id = settled(&shelf, async |on| {
            ask_and_fail_once.on(on).run(()).await.unwrap()
        })
        .await;
        let asker = shelf.engine().await;
        asker.signal(&id, "fail", &()).await.unwrap();
        let handle = asker.resume(&id).with(&6).request().await.unwrap();
        let hand = shelf.engine().await;
        let worker = hand.worker().spawn();
        let run = handle.wait().await.unwrap();
        assert_eq!((run.output(), run.attempt()), (Some(&6.into()), 2), "{run}");
        worker.stop().await;
    }
}

#[workflow(concurrency = 1, on_conflict = "reject")]
async fn send_alone(ctx: ExecutionContext<bool>) -> Result<String, TaskError> {
    if *ctx.input() {
        flux::pause("inside").await;
    }
    send("alone".into()).await
}

#[tokio::test]
async fn what_failed_is_not_opened_beside_one_that_may_not_run_beside_it() {
    for shelf in Shelf::each().await {
        let id = settled(&shelf, async |on| {
            send_alone.on(on).run(false).await.unwrap()
        })
        .await;
        let asker = shelf.engine().await;
        let other = send_alone.on(&asker).run(true).await.unwrap();
        let before = asker.history(&id).await.unwrap();
        let refused = asker.retry(&id).request().await.unwrap_err();
        let Error::LimitReached { holder, .. } = refused else {
            panic!("{refused}")
        };
        assert_eq!(&holder, other.execution_id());
        assert_eq!(asker.history(&id).await.unwrap(), before);
        let failed = asker.get(&id).await.unwrap();
        assert!(failed.has_failed() && failed.worker().is_none());
    }
}
