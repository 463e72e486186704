//! What can be seen of an execution: its texts, lists, histories, and its events as they happen.

use std::time::Duration;

use flux::{
    Engine, EventKind, ExecutionContext, NotCompleted, Status, TaskError, TaskStatus, task,
    workflow,
};

use crate::support::{Shelf, unique};

#[task(max_attempts = 2, backoff = "fixed(10ms)")]
async fn bake(minutes: u64) -> Result<String, String> {
    tokio::time::sleep(Duration::from_millis(minutes)).await;
    match minutes {
        0 => Err("the oven is cold".to_owned()),
        _ => Ok(format!("baked for {minutes}")),
    }
}

#[workflow]
async fn bake_bread(ctx: ExecutionContext<u64>) -> Result<String, TaskError> {
    let bread = bake(*ctx.input()).await?;
    flux::pause("cool_down").await;
    Ok(bread)
}

#[tokio::test(start_paused = true)]
async fn an_execution_prints_what_matters() {
    let engine = Shelf::memory().engine().await;
    let id = unique("bread");
    let on = bake_bread.on(&engine);
    let paused = on.run(20).execution_id(&id).await.unwrap();
    assert_eq!(
        paused.to_string(),
        format!("bake_bread {id} Paused at `cool_down`")
    );
    let text = format!("{paused:?}");
    for word in [
        "Execution",
        id.as_str(),
        "bake_bread",
        "Paused",
        "cool_down",
    ] {
        assert!(text.contains(word), "{text}");
    }
    let NotCompleted::Unfinished { status, .. } = paused.into_result().unwrap_err() else {
        panic!()
    };
    assert_eq!(status, Status::Paused);

    let done = on.resume(&id).await.unwrap();
    assert_eq!(
        done.to_string(),
        format!("bake_bread {id} Completed after 20ms")
    );
    assert!(format!("{done:?}").contains("baked for 20"));
    assert!(done.started_at().unwrap() >= done.created_at());
    assert_eq!(
        done.finished_at()
            .unwrap()
            .duration_since(done.created_at())
            .unwrap(),
        done.duration()
    );
    assert_eq!(done.into_result().unwrap(), "baked for 20");

    let failed = on.run(0).await.unwrap();
    let text = failed.to_string();
    assert!(
        text.contains("Failed after 1") && text.contains("the oven is cold"),
        "{text}"
    );
    let text = format!("{failed:?}");
    assert!(
        text.contains("failure") && text.contains("bake") && text.contains("the oven is cold"),
        "{text}"
    );
    let tasks = failed.tasks().await.unwrap();
    assert_eq!(
        (tasks[0].status(), tasks[0].attempts()),
        (TaskStatus::Failed, 2)
    );
    assert_eq!(tasks[0].last_error(), Some("the oven is cold"));
    let error = failed.into_result().unwrap_err();
    let chain: Vec<String> = anyhow::Error::from(error)
        .chain()
        .map(ToString::to_string)
        .collect();
    assert!(
        chain[0].contains("failed") && chain[1].contains("the oven is cold"),
        "{chain:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn executions_are_listed_newest_first_by_what_one_asks_for() {
    for shelf in Shelf::each().await {
        let engine = shelf.engine().await;
        let mut ids = Vec::new();
        for minutes in [1, 0, 2, 3] {
            let run = bake_bread.on(&engine).run(minutes).await.unwrap();
            ids.insert(0, run.execution_id().to_string());
        }
        let listed = |list: Vec<flux::Execution>| {
            list.iter()
                .map(|e| e.execution_id().to_string())
                .collect::<Vec<_>>()
        };
        assert_eq!(listed(engine.list().await.unwrap()), ids);
        assert_eq!(listed(engine.list().limit(2).await.unwrap()), ids[..2]);
        assert_eq!(
            listed(engine.list().before(&ids[1]).await.unwrap()),
            ids[2..]
        );
        assert_eq!(
            listed(engine.list().status(Status::Failed).await.unwrap()),
            ids[2..3]
        );
        let two = engine
            .list()
            .status(Status::Failed)
            .status(Status::Paused)
            .await
            .unwrap();
        assert_eq!(listed(two), ids);
        assert!(engine.list().workflow("other").await.unwrap().is_empty());
        assert_eq!(engine.list().workflow("bake_bread").await.unwrap().len(), 4);
        assert!(
            engine
                .list()
                .status(Status::Completed)
                .await
                .unwrap()
                .is_empty()
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_subscriber_sees_every_event_once_and_in_order() {
    for shelf in Shelf::each().await {
        let engine = shelf.engine().await;
        let handle = bake_bread.on(&engine).start(20).await.unwrap();
        let id = handle.execution_id();
        let mut events = engine.subscribe(id).await.unwrap();
        // From another engine on the same store.
        let mut elsewhere = shelf.engine().await.subscribe(id).await.unwrap();
        events
            .wait_for(EventKind::PauseReached)
            .await
            .unwrap()
            .unwrap();
        let _ = handle.wait().await.unwrap();
        let _ = bake_bread.on(&engine).resume(id).await.unwrap();
        let mut rest = Vec::new();
        while let Some(event) = events.next().await {
            rest.push(event.unwrap().kind);
        }
        assert_eq!(
            rest,
            [EventKind::PauseAnswered, EventKind::WorkflowCompleted]
        );
        let mut all = Vec::new();
        while let Some(event) = elsewhere.next().await {
            all.push(event.unwrap());
        }
        assert_eq!(all, engine.history(id).await.unwrap());
        assert_eq!(events.wait_for(EventKind::TaskFailed).await.unwrap(), None);
    }
}

#[tokio::test]
async fn a_name_that_nobody_registered_shows_what_is() {
    let engine = Engine::in_memory();
    let names = engine.workflows();
    assert!(
        names.iter().any(|name| name.contains("bake_bread")),
        "{names:?}"
    );
}
