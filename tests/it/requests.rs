//! Requests: an engine that only asks, and a worker of another that has the code.

use std::sync::Arc;
use std::time::Duration;

use flux::store::{MemoryStore, MessageKind, NewMessage, Store};
use flux::{
    Engine, Error, EventKind, Execution, ExecutionContext, ExecutionId, Handle, PausePoint, Status,
    TaskError, task, task_context, workflow,
};
use serde_json::Value;

use crate::support::{
    Greeter, Shelf, asleep, begin, code_of, count, lines, payloads, ran, set_code, started, unique,
};

/// The repair of what is broken.
const REPAIRED: u32 = 1;

fn is_repaired() -> bool {
    code_of(task_context().unwrap().execution_id()) == REPAIRED
}

#[task]
async fn note(what: String) -> String {
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
    at_rest(&handle, &asker).await;
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
                handle.wait().await.unwrap();
            } else {
                hand.retry(&id).await.unwrap();
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

#[task]
async fn work_until_told(what: String) -> String {
    begin();
    while !is_repaired() {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    what
}

#[workflow]
async fn work_and_ask(_ctx: ExecutionContext) -> Result<u32, TaskError> {
    let asking = async {
        let amount = flux::pause("amount").value::<u32>().await;
        note("answered".into()).await?;
        Ok(amount)
    };
    let (amount, _) = tokio::try_join!(asking, work_until_told("hard".into()))?;
    Ok(amount)
}

#[tokio::test]
async fn a_driver_that_is_alive_takes_the_answer_while_a_body_runs_beside_the_pause_point() {
    for shelf in Shelf::every_way().await {
        let id = unique("busy");
        let hand = shelf.engine().await;
        let running = tokio::spawn({
            let run = work_and_ask.on(&hand).run(()).execution_id(&id);
            async move { run.await.unwrap() }
        });
        while ran(&id, "work_until_told") == 0 {
            tokio::task::yield_now().await;
        }
        let asker = shelf.engine().await;
        assert_eq!(asker.get(&id).await.unwrap().status(), Status::Running);
        // It does not say what it answers.
        asker.resume(&id).request().await.unwrap();
        asker.resume(&id).with("much").request().await.unwrap();
        asker
            .resume(&id)
            .at("amount")
            .with(&4)
            .request()
            .await
            .unwrap();
        while ran(&id, "note") == 0 {
            tokio::task::yield_now().await;
        }
        let late = asker.resume(&id).with(&5).request().await.unwrap_err();
        assert!(matches!(late, Error::NotPaused { .. }), "{late}");
        set_code(&id, REPAIRED);
        assert_eq!(running.await.unwrap().output(), Some(&4));
    }
}

#[workflow]
async fn note_by_child(_ctx: ExecutionContext) -> Result<String, TaskError> {
    note("child".into()).await
}

#[workflow]
async fn work_and_hear(_ctx: ExecutionContext) -> Result<String, TaskError> {
    let hearing = async {
        let word = flux::signal::<String>("word").await;
        tokio::try_join!(note(word), note_by_child.call(()))
    };
    let (_, (heard, _)) = tokio::try_join!(work_until_told("hard".into()), hearing)?;
    Ok(heard)
}

/// Runs it on `hand` until its body is at work.
async fn at_work(hand: &Engine, id: &ExecutionId) -> tokio::task::JoinHandle<Execution<String>> {
    let run = work_and_hear.on(hand).run(()).execution_id(id);
    let running = tokio::spawn(async move { run.await.unwrap() });
    while ran(id, "work_until_told") == 0 {
        tokio::task::yield_now().await;
    }
    running
}

/// Waits until its driver has read all that came before this word.
async fn hears(asker: &Engine, id: &ExecutionId, word: &str) {
    asker.signal(id, "word", word).await.unwrap();
    while count(asker, id, EventKind::SignalReceived).await == 0 {
        tokio::task::yield_now().await;
    }
}

/// The resume was lost: it found the row `Running`, and the driver went on hold afterwards.
#[tokio::test]
async fn what_is_paused_and_resumed_while_a_body_runs_goes_on_to_its_end() {
    for shelf in Shelf::every_way().await {
        for is_taken_up in [false, true] {
            let id = unique("overtaken");
            let hand = shelf.engine().await;
            let running = at_work(&hand, &id).await;
            let asker = shelf.engine().await;
            asker.pause(&id).await.unwrap();
            if is_taken_up {
                hears(&asker, &id, "first").await;
                assert_eq!(ran(&id, "note"), 0);
            }
            asker.resume(&id).request().await.unwrap();
            if !is_taken_up {
                hears(&asker, &id, "first").await;
            }
            set_code(&id, REPAIRED);
            let run = running.await.unwrap();
            assert_eq!(run.output(), Some(&"first".into()), "{run}");
        }
    }
}

#[tokio::test]
async fn the_order_of_pauses_and_resumes_is_what_counts() {
    for shelf in Shelf::every_way().await {
        for pauses_before in [0, 1, 2] {
            let id = unique("order");
            let hand = shelf.engine().await;
            let running = at_work(&hand, &id).await;
            let asker = shelf.engine().await;
            for _ in 0..pauses_before {
                asker.pause(&id).await.unwrap();
            }
            asker.resume(&id).request().await.unwrap();
            asker.pause(&id).await.unwrap();
            hears(&asker, &id, "last").await;
            set_code(&id, REPAIRED);
            let held = running.await.unwrap();
            assert!(held.is_paused() && held.held().is_some(), "{held}");
            assert_eq!(ran(&id, "note"), 0);

            let worker = hand.worker().spawn();
            let handle = asker.resume(&id).request().await.unwrap();
            let run = handle.wait().await.unwrap();
            assert_eq!(run.output(), Some(&"last".into()), "{run}");
            worker.stop().await;
        }
    }
}

#[tokio::test]
async fn a_request_for_what_runs_writes_only_what_takes_a_pause_back() {
    let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
    let engine = async || {
        let builder = Engine::builder().shared_store(Arc::clone(&store));
        builder.state(Greeter { word: "hi" }).build().await.unwrap()
    };
    let (hand, asker, id) = (engine().await, engine().await, unique("undisturbed"));
    let running = at_work(&hand, &id).await;
    let key = store.execution(&id).await.unwrap().unwrap().key;
    asker.resume(&id).request().await.unwrap();
    assert_eq!(store.inbox(key).await.unwrap(), []);

    asker.pause(&id).await.unwrap();
    asker.resume(&id).request().await.unwrap();
    let kinds = |message: flux::store::Message| message.kind;
    let inbox = store.inbox(key).await.unwrap();
    let taken_back = [MessageKind::Pause, MessageKind::Resume];
    assert_eq!(
        inbox.clone().into_iter().map(kinds).collect::<Vec<_>>(),
        taken_back
    );
    asker.resume(&id).request().await.unwrap();
    assert_eq!(store.inbox(key).await.unwrap(), inbox);
    hears(&asker, &id, "word").await;
    set_code(&id, REPAIRED);
    assert!(running.await.unwrap().has_succeeded());
    assert_eq!(store.inbox(key).await.unwrap(), []);
}

#[tokio::test]
async fn an_answer_takes_back_a_pause_that_was_asked_for_before() {
    for shelf in Shelf::every_way().await {
        let id = unique("answered");
        let hand = shelf.engine().await;
        let running = tokio::spawn({
            let run = work_and_ask.on(&hand).run(()).execution_id(&id);
            async move { run.await.unwrap() }
        });
        while ran(&id, "work_until_told") == 0 {
            tokio::task::yield_now().await;
        }
        let asker = shelf.engine().await;
        asker.pause(&id).await.unwrap();
        asker.resume(&id).with(&4).request().await.unwrap();
        while count(&asker, &id, EventKind::PauseAnswered).await == 0 {
            tokio::task::yield_now().await;
        }
        set_code(&id, REPAIRED);
        assert_eq!(running.await.unwrap().output(), Some(&4));
    }
}

/// A driver consumed the message as soon as it had read it, and took the hold with it when it died.
#[tokio::test]
async fn a_pause_survives_the_driver_that_has_taken_it_up_and_an_awaited_resume_takes_it_back() {
    for shelf in Shelf::every_way().await {
        for is_resumed in [false, true] {
            let id = unique("survivor");
            let first = shelf.engine().await;
            let running = at_work(&first, &id).await;
            let asker = shelf.engine().await;
            asker.pause(&id).await.unwrap();
            hears(&asker, &id, "last").await;
            running.abort();
            assert!(running.await.unwrap_err().is_cancelled());
            drop(first);
            set_code(&id, REPAIRED);
            let second = shelf.engine().await;
            if !is_resumed {
                while second.recover().await.unwrap().executions.is_empty() {
                    tokio::task::yield_now().await;
                }
                assert!(second.get(&id).await.unwrap().held().is_some());
            }
            let run = loop {
                match work_and_hear.on(&second).resume(&id).await {
                    // The first is on its way out.
                    Err(Error::AlreadyRunning { .. }) => tokio::task::yield_now().await,
                    ended => break ended.unwrap(),
                }
            };
            assert_eq!(run.output(), Some(&"last".into()), "{run}");
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
        let Error::AlreadyRunning { id: inside, .. } = refused else {
            panic!("{refused}")
        };
        assert_eq!(&inside, other.execution_id());
        assert_eq!(asker.history(&id).await.unwrap(), before);
        let failed = asker.get(&id).await.unwrap();
        assert!(failed.has_failed() && failed.worker().is_none());
    }
}
