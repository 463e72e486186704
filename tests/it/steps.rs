//! Steps and timers.

use std::time::{Duration, SystemTime};

use flux::{EventKind, ExecutionContext, workflow};

use crate::support::{Shelf, count};

#[workflow]
async fn step_through(_ctx: ExecutionContext) -> anyhow::Result<(u32, String)> {
    let id = flux::task_context().is_none();
    let once = flux::step(
        "once",
        async move { Ok::<_, std::io::Error>(u32::from(id)) },
    )
    .await?;
    let mut tries = 0;
    let retried = flux::step("retried", move || {
        tries += 1;
        async move {
            if tries < 3 {
                Err(format!("try {tries}"))
            } else {
                Ok(format!("try {tries}"))
            }
        }
    });
    let backoff = flux::Backoff::Fixed(Duration::from_millis(1));
    let retried = retried.max_attempts(3).backoff(backoff).await?;
    let spent = flux::step("spent", async { Err::<(), _>("no".to_owned()) })
        .max_attempts(2)
        .backoff(backoff)
        .await;
    anyhow::ensure!(spent.is_err());
    Ok((once, retried))
}

#[tokio::test(start_paused = true)]
async fn a_step_is_an_inline_task() {
    for shelf in [Shelf::memory(), Shelf::memory().always_replay()] {
        let engine = shelf.engine().await;
        let run = step_through.on(&engine).run(()).await.unwrap();
        assert_eq!(
            run.output().unwrap_or_else(|| panic!("{run}")),
            &(1, "try 3".to_owned())
        );
        let tasks = run.tasks().await.unwrap();
        let names: Vec<_> = tasks.iter().map(flux::TaskInfo::name).collect();
        assert_eq!(names, ["once", "retried", "spent"]);
    }
}

#[workflow]
async fn keep_appointments(ctx: ExecutionContext<SystemTime>) -> Vec<bool> {
    let began = flux::now();
    flux::sleep_until(*ctx.input()).await;
    let met = flux::now() >= *ctx.input();
    // In the past: at once, but as a delivery of its own.
    flux::sleep_until(began).await;
    flux::sleep(Duration::ZERO).await;
    let late = flux::select! {
        () = flux::sleep(flux::time::days(9)) => true,
        () = flux::sleep(flux::time::days(2)) => false,
    };
    vec![met, late]
}

#[tokio::test(start_paused = true)]
async fn timers_fire_when_they_are_due() {
    for shelf in [Shelf::memory(), Shelf::memory().always_replay()] {
        let engine = shelf.engine().await;
        let at = SystemTime::now() + flux::time::hours(3);
        let run = keep_appointments.on(&engine).run(at).await.unwrap();
        assert_eq!(run.output().unwrap(), &[true, false]);
        assert_eq!(
            count(&engine, run.execution_id(), EventKind::TimerFired).await,
            4
        );
        let days = run.duration().as_secs() / (24 * 60 * 60);
        assert_eq!(days, 2);
    }
}
