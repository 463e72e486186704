//! Requests to an execution while somebody drives it: answers, and a pause that is taken back.

use std::sync::Arc;
use std::time::Duration;

use flux::store::{MemoryStore, MessageKind, Store};
use flux::{
    Engine, Error, EventKind, Execution, ExecutionContext, ExecutionId, Run, Status, TaskError,
    task, workflow,
};

use crate::requests::{REPAIRED, is_repaired, note};
use crate::support::{Greeter, Shelf, begin, count, ran, set_code, unique};

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

/// Drives it until its body is at work.
async fn at_work<O: Send + 'static>(
    id: &ExecutionId,
    run: Run<O>,
) -> tokio::task::JoinHandle<Execution<O>> {
    let run = run.execution_id(id);
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

#[tokio::test]
async fn a_driver_that_is_alive_takes_the_answer_while_a_body_runs_beside_the_pause_point() {
    for shelf in Shelf::every_way().await {
        let id = unique("busy");
        let hand = shelf.engine().await;
        let running = at_work(&id, work_and_ask.on(&hand).run(())).await;
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

/// The resume was lost: it found the row `Running`, and the driver went on hold afterwards.
#[tokio::test]
async fn what_is_paused_and_resumed_while_a_body_runs_goes_on_to_its_end() {
    for shelf in Shelf::every_way().await {
        for is_taken_up in [false, true] {
            let id = unique("overtaken");
            let hand = shelf.engine().await;
            let running = at_work(&id, work_and_hear.on(&hand).run(())).await;
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
            let running = at_work(&id, work_and_hear.on(&hand).run(())).await;
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
    let running = at_work(&id, work_and_hear.on(&hand).run(())).await;
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
        let running = at_work(&id, work_and_ask.on(&hand).run(())).await;
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
            let running = at_work(&id, work_and_hear.on(&first).run(())).await;
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

/// It was told that somebody drives it already, and the pause stayed.
#[tokio::test]
async fn an_awaited_resume_takes_back_a_pause_that_has_not_been_carried_out_and_waits_for_the_end()
{
    for shelf in Shelf::every_way().await {
        for is_elsewhere in [false, true] {
            let id = unique("awaited");
            let hand = shelf.engine().await;
            let running = at_work(&id, work_and_hear.on(&hand).run(())).await;
            let other = shelf.engine().await;
            let asker = if is_elsewhere { &other } else { &hand };
            let refused = asker.resume(&id).await.unwrap_err();
            assert!(matches!(refused, Error::AlreadyRunning { .. }), "{refused}");

            asker.pause(&id).await.unwrap();
            let resuming = tokio::spawn(work_and_hear.on(asker).resume(&id));
            hears(asker, &id, "word").await;
            // Nothing new begins before the pause is taken back.
            while ran(&id, "note") == 0 {
                tokio::task::yield_now().await;
            }
            set_code(&id, REPAIRED);
            let resumed = resuming.await.unwrap().unwrap();
            assert_eq!(resumed.output(), Some(&"word".into()), "{resumed}");
            assert!(running.await.unwrap().has_succeeded());
        }
    }
}
