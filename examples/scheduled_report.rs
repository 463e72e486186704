//! Reports by the clock: one schedule stands in the code, another is made while the program runs.
//!
//! ```text
//! cargo run --example scheduled_report     # Ctrl-C stops it in order
//! ```
//!
//! However many workers there are, each moment starts one execution, whose id is made of the schedule's name and the moment.
//! What was missed while nothing ran is made up for by one execution, for the latest moment.

use std::time::Duration;

use flux::{CatchUp, Engine, ExecutionContext, Overlap, TaskError, task, workflow};
use serde::{Deserialize, Serialize};

#[derive(Clone, Serialize, Deserialize)]
struct About {
    topic: String,
}

impl Default for About {
    fn default() -> Self {
        Self {
            topic: "sales".to_owned(),
        }
    }
}

#[task(max_attempts = 3)]
async fn collect(topic: String) -> u32 {
    u32::try_from(topic.len()).unwrap_or(0) * 7
}

/// On working days at six in Berlin, whatever the clocks do in March and October. A scheduled execution is given the
/// default of its input.
#[workflow(schedule = "0 6 * * MON-FRI Europe/Berlin")]
async fn write_report(ctx: ExecutionContext<About>) -> Result<String, TaskError> {
    let topic = &ctx.input().topic;
    let count = collect(topic.clone()).await?;
    let report = format!("{topic}: {count}");
    println!("  {} -> {report}", ctx.execution_id());
    Ok(report)
}

async fn run(stop: impl Future<Output = ()>) -> Result<(), flux::Error> {
    let engine = Engine::in_memory();
    let often = About {
        topic: "visitors".to_owned(),
    };
    let often = engine.schedule("often", write_report, often).every("1s");
    let often = often.overlap(Overlap::Skip).catch_up(CatchUp::One).await?;
    println!("{often}");

    let worker = engine.worker().spawn();
    let now = often.trigger().await?.wait().await?; // beside its moments
    println!("triggered: {now}");
    stop.await;
    worker.stop().await;
    for schedule in engine.schedules().await? {
        println!("{schedule}; then {:?}", schedule.preview(2));
    }
    Ok(())
}

#[tokio::main]
async fn main() -> Result<(), flux::Error> {
    let enough = tokio::time::sleep(Duration::from_secs(4));
    run(async {
        tokio::select! {
            () = flux::shutdown_signal() => {}
            () = enough => {}
        }
    })
    .await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn it_runs_and_stops() {
        run(tokio::time::sleep(Duration::from_secs(10)))
            .await
            .unwrap();
    }
}
