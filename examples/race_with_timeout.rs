//! Two couriers are asked for a price, and nobody is waited for longer than two seconds.
//!
//! ```text
//! cargo run --example race_with_timeout
//! ```
//!
//! `tokio::select!` takes the first answer; the other call is dropped, which cancels its body. Whoever won once wins in
//! every replay, however fast the other would be today. `flux::timeout` is a durable timer in the same race.

use std::time::Duration;

use flux::{Elapsed, Engine, ExecutionContext, TaskError, task, workflow};
use serde::{Deserialize, Serialize};

/// How long each courier takes to answer, in milliseconds.
#[derive(Clone, Copy, Serialize, Deserialize)]
struct Couriers {
    bicycle: u64,
    van: u64,
}

#[task]
async fn ask_bicycle(answers_after: u64) -> u32 {
    tokio::time::sleep(Duration::from_millis(answers_after)).await;
    12
}

#[task]
async fn ask_van(answers_after: u64) -> u32 {
    tokio::time::sleep(Duration::from_millis(answers_after)).await;
    30
}

#[workflow]
async fn choose_courier(ctx: ExecutionContext<Couriers>) -> Result<String, TaskError> {
    let Couriers { bicycle, van } = *ctx.input();
    let race = async {
        tokio::select! {
            price = ask_bicycle(bicycle) => price.map(|price| format!("bicycle for {price}")),
            price = ask_van(van) => price.map(|price| format!("van for {price}")),
        }
    };
    match flux::timeout(Duration::from_secs(2), race).await {
        Ok(choice) => choice,
        Err(Elapsed { .. }) => Ok("nobody answered; the customer comes by".to_owned()),
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let engine = Engine::in_memory();
    let days = [(50, 300), (300, 50), (60_000, 60_000)];
    for (bicycle, van) in days {
        let run = choose_courier
            .on(&engine)
            .run(Couriers { bicycle, van })
            .await?;
        println!(
            "bicycle after {bicycle} ms, van after {van} ms: {}",
            run.output().ok_or("no output")?
        );
        for task in run.tasks().await? {
            println!("  {:<12} {:?}", task.name(), task.status());
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use flux::{EventKind, TaskStatus};

    async fn choose(engine: &Engine, bicycle: u64, van: u64) -> (String, Vec<TaskStatus>) {
        let run = choose_courier
            .on(engine)
            .run(Couriers { bicycle, van })
            .await
            .unwrap();
        let tasks = run.tasks().await.unwrap();
        (
            run.output().unwrap().clone(),
            tasks.iter().map(flux::TaskInfo::status).collect(),
        )
    }

    #[tokio::test(start_paused = true)]
    async fn the_first_answer_wins_and_the_other_call_is_cancelled() {
        use TaskStatus::{Cancelled, Completed};
        let engine = Engine::in_memory();
        let won = |name: &str, statuses: [TaskStatus; 2]| (name.to_owned(), statuses.to_vec());
        assert_eq!(
            choose(&engine, 50, 300).await,
            won("bicycle for 12", [Completed, Cancelled])
        );
        assert_eq!(
            choose(&engine, 300, 50).await,
            won("van for 30", [Cancelled, Completed])
        );
    }

    #[tokio::test(start_paused = true)]
    async fn nobody_is_waited_for_longer_than_two_seconds() {
        let engine = Engine::in_memory();
        let before = tokio::time::Instant::now();
        let (choice, statuses) = choose(&engine, 60_000, 60_000).await;
        assert!(choice.starts_with("nobody"), "{choice}");
        assert_eq!(statuses, [TaskStatus::Cancelled; 2]);
        assert_eq!(before.elapsed().as_secs(), 2);
    }

    /// The sharpest test of a workflow: its code is dropped and replayed before every activation.
    #[tokio::test(start_paused = true)]
    async fn the_winner_stays_the_winner_in_every_replay() {
        let engine = Engine::builder()
            .in_memory()
            .always_replay(true)
            .build()
            .await
            .unwrap();
        let run = choose_courier
            .on(&engine)
            .run(Couriers {
                bicycle: 300,
                van: 50,
            })
            .await
            .unwrap();
        assert_eq!(run.output().unwrap(), "van for 30");
        let events = run.events().await.unwrap();
        let cancelled = events
            .iter()
            .filter(|event| event.kind == EventKind::CallCancelled);
        assert_eq!(cancelled.count(), 2, "the bicycle and the timer");
    }
}
