//! The catalog: what programs say they have, and what others start by it.

use std::sync::Arc;
use std::time::Duration;

use flux::store::{
    Commit, ExecutionRecord, MemoryStore, NewExecution, Placement, Store, Target,
    WorkflowDescription,
};
use flux::time::hours;
use flux::{
    Engine, Error, Event, EventKind, EventSeq, ExecutionContext, ExecutionId, Payload, Status,
    TaskError, WorkflowInfo, task, workflow,
};
use serde_json::json;

use crate::support::{Greeter, Shelf, most_at_once, settle, spend_in, unique};

#[task]
async fn sit_at(desk: String) {
    spend_in(&desk, Duration::from_millis(20)).await;
}

#[workflow(queue = "desks", concurrency = 1, on_conflict = "queue", tags = ["desk"])]
async fn work_at_desk(ctx: ExecutionContext<String>) -> Result<String, TaskError> {
    sit_at(ctx.input().clone()).await?;
    Ok(ctx.input().clone())
}

#[workflow]
async fn add_one(ctx: ExecutionContext<u32>) -> u32 {
    ctx.input() + 1
}

/// A program that has none of the code that it names.
async fn outsider(store: &Arc<MemoryStore>) -> Engine {
    let store: Arc<dyn Store> = Arc::clone(store) as _;
    let builder = Engine::builder()
        .shared_store(store)
        .state(Greeter { word: "hello" });
    builder.onlooker().build().await.unwrap()
}

/// What a program says that is long gone.
async fn describe(store: &MemoryStore, name: &str, version: u32, more: &str) {
    let described = format!(
        r#"{{"name":"{name}","version":{version},"accepts":{{"start":1,"end":{version}}},"module":"theirs"{more}}}"#
    );
    let workflow = WorkflowDescription {
        name: name.into(),
        version,
        described: Payload::from_json(described),
        seen_at: std::time::SystemTime::now().into(),
    };
    store.describe_workflows(vec![workflow]).await.unwrap();
}

async fn record(store: &MemoryStore, id: &ExecutionId) -> ExecutionRecord {
    store.execution(id).await.unwrap().unwrap()
}

fn gate(record: &ExecutionRecord) -> (&str, u32, bool) {
    let gate = record.placement.gate.as_ref().unwrap();
    (&gate.key, gate.limit, gate.refuses)
}

/// Lets workers say what they have.
async fn until_described(engine: &Engine) {
    while engine.catalog().await.unwrap().is_empty() {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

#[tokio::test]
async fn a_worker_takes_what_is_started_elsewhere_and_its_limits_hold() {
    for shelf in Shelf::each().await {
        let theirs = shelf.engine().await;
        let ours = shelf.builder().onlooker().build().await.unwrap();
        let elsewhere = theirs.worker().queue("mine").spawn();
        until_described(&ours).await;
        let desk = unique("desk").to_string();
        let mut handles = Vec::new();
        for _ in 0..4 {
            let start = ours.start_elsewhere("work_at_desk", &desk);
            handles.push(start.await.unwrap());
        }
        let first = ours.get(handles[0].execution_id()).await.unwrap();
        assert_eq!(first.status(), Status::Pending);
        assert_eq!(first.queue(), Some("desks"));
        assert_eq!(first.tags().collect::<Vec<_>>(), ["desk"]);
        let worker = theirs.worker().queue("desks").spawn();
        for handle in handles {
            let run = handle.wait().await.unwrap();
            assert_eq!(run.output(), Some(&json!(desk)));
        }
        assert_eq!(most_at_once(&desk), 1);
        worker.stop().await;
        elsewhere.stop().await;
    }
}

#[tokio::test]
async fn what_is_in_no_queue_waits_for_any_worker() {
    for shelf in Shelf::each().await {
        let theirs = shelf.engine().await;
        let ours = shelf.builder().onlooker().build().await.unwrap();
        let handle = ours.start_elsewhere("add_one", 41).await.unwrap();
        settle().await;
        assert_eq!(handle.status().await.unwrap(), Status::Pending);
        let worker = theirs.worker().queue("mine").spawn();
        let run = handle.wait().await.unwrap();
        assert_eq!(run.output(), Some(&json!(42)));
        let workers = ours.workers().await.unwrap();
        assert_eq!(workers.len(), 1, "who starts for others owns nothing");
        worker.stop().await;
    }
}

/// Nobody could have told whoever started it; left alone it would wait for ever.
#[tokio::test]
async fn an_input_that_nobody_could_check_and_does_not_fit_fails_its_execution() {
    for shelf in Shelf::each().await {
        let (ours, theirs) = (shelf.engine().await, shelf.engine().await);
        let worker = theirs.worker().spawn();
        until_described(&ours).await;
        worker.stop().await;
        let handle = ours.start_elsewhere("add_one", "many").await.unwrap();
        let worker = theirs.worker().spawn();
        let run = handle.wait().await.unwrap();
        let message = run.failure().unwrap().message().to_owned();
        assert!(message.contains("input of workflow `add_one`"), "{message}");
        assert!(message.contains("expected u32"), "{message}");
        // The code comes to the same, and so does another try.
        let replayed = theirs.replay(run.execution_id()).await.unwrap();
        assert!(replayed.is_finished);
        worker.stop().await;
        let again = theirs.resume(run.execution_id()).await.unwrap();
        assert!(again.has_failed());
        assert_eq!(again.events().await.unwrap(), run.events().await.unwrap());
    }
}

#[tokio::test]
async fn a_start_for_workers_is_left_to_them() {
    let shelf = Shelf::memory();
    let (ours, theirs) = (shelf.engine().await, shelf.engine().await);
    let id = unique("for-worker");
    let start = || add_one.on(&ours).start(1).execution_id(&id).for_worker();
    let handle = start().await.unwrap();
    // The same start again finds it, and does not begin it either.
    start().await.unwrap();
    settle().await;
    assert_eq!(handle.status().await.unwrap(), Status::Pending);
    let run = add_one.on(&ours).run(5).for_worker();
    let worker = theirs.worker().spawn();
    assert_eq!(run.await.unwrap().output(), Some(&6));
    assert_eq!(handle.wait().await.unwrap().output(), Some(&2));
    worker.stop().await;
}

#[tokio::test]
async fn the_newest_description_is_what_counts() {
    let store = Arc::new(MemoryStore::new());
    describe(&store, "send_bills", 2, r#","queue":"old""#).await;
    let more = r#","queue":"bills","concurrency":3,"tags":["money"],"colour":"red""#;
    describe(&store, "send_bills", 10, more).await;
    let ours = outsider(&store).await;
    let handle = ours
        .start_elsewhere("send_bills", json!({"of": 1}))
        .await
        .unwrap();
    let record = record(&store, handle.execution_id()).await;
    assert_eq!((record.version, record.owner), (10, None));
    assert_eq!(record.placement.queue.as_deref(), Some("bills"));
    assert_eq!(record.placement.tags, ["money".into()]);
    assert_eq!(gate(&record), ("workflow:send_bills", 3, true));
    let versions: Vec<_> = ours.catalog().await.unwrap();
    let versions: Vec<_> = versions.iter().map(|info| info.version).collect();
    assert_eq!(versions, [2, 10]);
}

#[tokio::test]
async fn a_lock_is_made_of_the_input() {
    let store = Arc::new(MemoryStore::new());
    describe(
        &store,
        "shift_money",
        1,
        r#","lock":"account-{from.number}""#,
    )
    .await;
    let ours = outsider(&store).await;
    let handle = ours
        .start_elsewhere("shift_money", json!({"from": {"number": 7}}))
        .await
        .unwrap();
    let record = record(&store, handle.execution_id()).await;
    assert_eq!(gate(&record), ("lock:account-7", 1, false));
    let error = ours.start_elsewhere("shift_money", json!({"to": 7})).await;
    let Error::InvalidInput { path, .. } = error.unwrap_err() else {
        panic!("the input has no such field");
    };
    assert_eq!(path, "from.number");
}

/// Writes down that somebody ran a workflow once.
async fn ran_once(store: &MemoryStore, workflow: &str, version: u32) {
    let new = NewExecution {
        id: unique("ran"),
        workflow: workflow.into(),
        version,
        created_at: std::time::SystemTime::now().into(),
        parent: None,
        owner: None,
        placement: Placement::default(),
    };
    let event = Event {
        seq: EventSeq::FIRST,
        at: new.created_at,
        kind: EventKind::WorkflowQueued,
        refers: None,
        name: Some(workflow.into()),
        payload: Some(Payload::null()),
        meta: None,
    };
    let commit = Commit {
        events: vec![event],
        ..Commit::to(Target::New(Box::new(new)))
    };
    store.commit(commit).await.unwrap();
}

#[tokio::test]
async fn of_what_nobody_described_the_latest_execution_tells_the_version() {
    let store = Arc::new(MemoryStore::new());
    let ours = outsider(&store).await;
    for version in [1, 4] {
        let handle = ours.start_elsewhere("unheard_of", ()).await.unwrap();
        let record = record(&store, handle.execution_id()).await;
        assert_eq!(record.version, version);
        assert_eq!(
            (record.placement.queue, record.placement.gate),
            (None, None)
        );
        ran_once(&store, "unheard_of", 4).await;
    }
    let error = ours.start_elsewhere(" ", ()).await.unwrap_err();
    assert!(error.to_string().contains("name of a workflow"), "{error}");
}

#[tokio::test]
async fn a_worker_says_what_its_program_has() {
    for shelf in Shelf::each().await {
        let engine = shelf.engine().await;
        assert_eq!(engine.catalog().await.unwrap(), []);
        let worker = engine.worker().spawn();
        until_described(&engine).await;
        let catalog = engine.catalog().await.unwrap();
        assert_eq!(catalog, engine.registered());
        let find = |name: &str| catalog.iter().find(|info| info.name == name).unwrap();
        let desk: &WorkflowInfo = find("work_at_desk");
        assert_eq!(desk.queue.as_deref(), Some("desks"));
        assert_eq!((desk.concurrency, desk.accepts.clone()), (Some(1), 1..=1));
        worker.stop().await;
        assert_eq!(engine.catalog().await.unwrap(), catalog);
    }
}

#[tokio::test]
async fn it_is_known_who_would_take_an_execution() {
    for shelf in Shelf::each().await {
        let (one, two) = (shelf.engine().await, shelf.engine().await);
        let ours = shelf.builder().onlooker().build().await.unwrap();
        let would_take = async |queue| {
            let workers = ours.served_by("add_one", 1, queue).await.unwrap();
            workers.len()
        };
        let until = async |queue, count| {
            while would_take(queue).await != count {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        assert_eq!(would_take(None).await, 0);
        let emails = one.worker().queue("emails").concurrency(3).spawn();
        until(Some("emails"), 1).await;
        assert_eq!(would_take(Some("letters")).await, 0);
        // Workers of one engine are listed as one.
        let letters = one.worker().queue("letters").concurrency(4).spawn();
        until(Some("letters"), 1).await;
        assert_eq!(would_take(Some("emails")).await, 1);
        let served = ours.served_by("add_one", 1, None).await.unwrap();
        assert_eq!(served[0].serves.as_ref().unwrap().concurrency, 7);
        let all = two.worker().spawn();
        until(Some("emails"), 2).await;
        assert_eq!(would_take(Some("parcels")).await, 1);
        assert_eq!(ours.served_by("add_one", 2, None).await.unwrap(), []);
        letters.stop().await;
        assert_eq!(would_take(Some("letters")).await, 1);
        assert_eq!(would_take(Some("emails")).await, 2);
        emails.stop().await;
        all.stop().await;
        assert_eq!(would_take(None).await, 0);
    }
}

#[tokio::test]
async fn schedules_are_made_and_steered_without_the_code() {
    let store = Arc::new(MemoryStore::new());
    let more = r#","queue":"night","concurrency":1,"on_conflict":"queue""#;
    describe(&store, "sweep_floors", 3, more).await;
    let ours = outsider(&store).await;
    let nightly = ours.schedule_by_name("nightly", "sweep_floors", json!({"deep": true}));
    let nightly = nightly.cron("0 3 * * *").await.unwrap();
    let next = nightly.next_at().unwrap();
    let mut handles = vec![
        nightly.trigger().await.unwrap(),
        nightly.release(next).await.unwrap(),
    ];
    let missed = nightly.backfill(next - hours(48), next - hours(1));
    handles.extend(missed.await.unwrap());
    assert_eq!(handles.len(), 4);
    for handle in handles {
        let record = record(&store, handle.execution_id()).await;
        assert_eq!((record.status, record.version), (Status::Pending, 3));
        assert_eq!(record.placement.queue.as_deref(), Some("night"));
        assert_eq!(gate(&record), ("workflow:sweep_floors", 1, false));
        let first = ours.history(handle.execution_id()).await.unwrap();
        assert_eq!(
            first[0].payload.as_ref().unwrap().as_str(),
            r#"{"deep":true}"#
        );
    }
}

#[tokio::test]
async fn a_workflow_that_nobody_knows_cannot_be_scheduled() {
    let store = Arc::new(MemoryStore::new());
    describe(&store, "sweep_floors", 1, "").await;
    describe(&store, "sweep_floors", 2, "").await;
    let ours = outsider(&store).await;
    let hourly = ours
        .schedule_by_name("hourly", "sweep_floorsp", ())
        .every("1h");
    let error = hourly.await.unwrap_err();
    let Error::WorkflowNotFound {
        available,
        described,
        ..
    } = &error
    else {
        panic!("{error}");
    };
    assert!(available.contains(&"add_one".to_owned()));
    assert_eq!(described, &["sweep_floors"]);
    assert!(
        error
            .to_string()
            .contains("in the store's catalog are `sweep_floors`")
    );
}
