//! One workflow with everything in it, and the person at its other end; for the sweeps.

use std::time::Duration;

use flux::sqlite::transaction;
use flux::{Engine, Error, ExecutionContext, ExecutionId, Status, TaskError, task, workflow};
use serde::{Deserialize, Serialize};

use crate::support::{begin, lines, ran};

/// How a voyage ends, and whether its store has tables.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct Plan {
    pub(crate) fails: bool,
    pub(crate) has_tables: bool,
    /// How often it has begun again.
    pub(crate) round: u32,
}

#[task]
async fn load(crates: u32) -> u32 {
    begin();
    crates
}

#[task(rollback = give_back)]
async fn rent(ship: String) -> String {
    begin();
    format!("{ship} is rented")
}

#[task]
async fn give_back(ship: String, _rented: Option<String>) -> String {
    begin();
    ship
}

/// Fails at first, and waits a little before its second attempt.
#[task(max_attempts = 2, backoff = "fixed(2ms)")]
async fn hoist(which: String) -> Result<String, String> {
    begin();
    match flux::task_context().unwrap().attempt() {
        1 => Err("no wind".to_owned()),
        _ => Ok(which),
    }
}

#[task]
async fn land(fails: bool) -> Result<String, String> {
    begin();
    tokio::time::sleep(Duration::from_millis(1)).await;
    match fails {
        true => Err("there is no land".to_owned()),
        false => Ok("landed".to_owned()),
    }
}

#[workflow(queue = "harbour")]
async fn pilot(ctx: ExecutionContext<u32>) -> Result<u32, TaskError> {
    load(*ctx.input()).await
}

#[workflow]
pub(crate) async fn sail(ctx: ExecutionContext<Plan>) -> Result<String, TaskError> {
    let plan = *ctx.input();
    if plan.round == 0 {
        load(1).await?;
        let next = Plan { round: 1, ..plan };
        ctx.continue_as_new(next).await;
    }
    let rented = rent("Argo".into()).await?;
    let (word, piloted, hoisted) = tokio::join!(
        flux::signal::<String>("word"),
        pilot.call(7),
        hoist("main".into())
    );
    if plan.has_tables {
        let id = ctx.execution_id().to_string();
        transaction("log", move |db| {
            db.execute_batch("CREATE TABLE IF NOT EXISTS log (id TEXT)")?;
            db.execute("INSERT INTO log VALUES (?1)", [&id])
        })
        .await?;
    }
    flux::sleep(Duration::from_millis(3)).await;
    let course = flux::pause("course").value::<String>().await;
    let landed = land(plan.fails).await?;
    Ok(format!(
        "{rented}, {word}, {}, {}, {course}, {landed}",
        piloted?, hoisted?
    ))
}

/// What a voyage comes to.
pub(crate) const ARRIVED: &str = "Argo is rented, ahoy, 7, main, west, landed";

/// Does what a person does: starts the voyage, sends it its word, answers its pause; again and again until the voyage
/// has ended, since no reply may have come.
pub(crate) async fn escort(engine: &Engine, id: &ExecutionId, plan: Plan) -> Status {
    let mut last_answer = None;
    let journey = async {
        loop {
            match engine.get(id).await {
                Err(Error::ExecutionNotFound { .. }) => {
                    let start = sail.on(engine).start(plan).execution_id(id);
                    drop(start.for_worker().await);
                }
                Err(error) => panic!("{error}"),
                Ok(run) if run.has_finished() => return run.status(),
                Ok(run) => last_answer = speak(engine, &run).await,
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    match tokio::time::timeout(Duration::from_secs(60), journey).await {
        Ok(status) => status,
        Err(_) => {
            let events = engine.history(id).await.unwrap_or_default();
            let run = engine.get(id).await;
            panic!("it hangs: {run:?}, {last_answer:?}\n{}", lines(&events));
        }
    }
}

/// Says what is to be said now; what came of an answer to its pause point, which is refused where one was given already.
async fn speak(engine: &Engine, run: &flux::Execution) -> Option<Result<(), Error>> {
    let id = run.execution_id();
    let said = engine.signal_once(id, "word", "ahoy", "once").await;
    assert!(
        matches!(said, Ok(()) | Err(Error::AlreadyFinished { .. })),
        "{said:?}"
    );
    let resume = engine.resume(id);
    let resume = match run.pause_point() {
        Some("course") => resume.at("course").with("west"),
        _ if run.held().is_some() => resume,
        _ => return None,
    };
    Some(resume.request().await.map(drop))
}

/// Holds what became of a voyage against its plan; `mishaps` is how often it was disturbed.
pub(crate) async fn check(engine: &Engine, id: &ExecutionId, plan: Plan, mishaps: usize) {
    let run = sail.on(engine).get(id).await.unwrap();
    let history = lines(&engine.history(id).await.unwrap());
    if plan.fails {
        assert_eq!(run.status(), Status::Failed, "{history}");
        assert!(ran(id, "give_back") >= 1, "{history}");
    } else {
        assert_eq!(run.output().map(String::as_str), Some(ARRIVED), "{history}");
        assert_eq!(ran(id, "give_back"), 0, "{history}");
    }
    // An attempt that was cut off has a number of its own.
    for (task, least, most) in [
        ("load", 1, 1),
        ("rent", 1, 1),
        ("hoist", 1, 2),
        ("land", 1, 1),
    ] {
        let times = ran(id, task);
        assert!(
            (least..=most + mishaps).contains(&times),
            "`{task}` ran {times} times\n{history}"
        );
    }
    for child in engine.list().children_of(id).await.unwrap() {
        assert!(child.has_succeeded(), "{child}");
    }
    let replayed = engine.replay(id).await;
    assert!(replayed.is_ok(), "{replayed:?}\n{history}");
}
