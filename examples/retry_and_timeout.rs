//! Three ways in which a weather service lets you down, and what is done about each.
//!
//! ```text
//! cargo run --example retry_and_timeout
//! ```
//!
//! The forecast fails twice and succeeds the third time; a city that does not exist is not worth a second try; a wind
//! gauge never answers, so each try ends after its timeout and in the end a fallback estimates. Every failed attempt
//! and the moment of the next are recorded: a crash in between resets neither the count nor the wait.

use std::time::Duration;

use flux::time::hours;
use flux::{ExecutionContext, TaskError, task, workflow};
use serde::{Deserialize, Serialize};

#[derive(Debug, PartialEq, thiserror::Error, Serialize, Deserialize)]
enum ServiceError {
    #[error("the service is busy")]
    Busy,
    #[error("there is no city `{0}`")]
    UnknownCity(String),
}

impl ServiceError {
    fn is_transient(&self) -> bool {
        matches!(self, Self::Busy)
    }
}

#[task(
    max_attempts = 4,
    backoff = "exponential(100ms, 2.0, max = 1s)",
    retry_if = ServiceError::is_transient
)]
async fn fetch_forecast(city: String) -> Result<String, ServiceError> {
    if city == "Atlantis" {
        return Err(ServiceError::UnknownCity(city));
    }
    match flux::task_context().map_or(1, |task| task.attempt()) {
        1 | 2 => Err(ServiceError::Busy),
        _ => Ok(format!("sun in {city}")),
    }
}

/// The timeout is that of one attempt.
#[task(max_attempts = 2, backoff = "fixed(100ms)", timeout = "200ms", fallback = estimate_wind)]
async fn measure_wind(_city: String) -> u32 {
    tokio::time::sleep(hours(1)).await;
    0
}

/// Takes the same arguments; its result is the call's.
#[expect(
    clippy::needless_pass_by_value,
    reason = "a fallback is given what the task is given"
)]
fn estimate_wind(city: String) -> u32 {
    u32::try_from(city.len()).unwrap_or(0)
}

#[workflow]
async fn report_weather(ctx: ExecutionContext<String>) -> Result<String, TaskError> {
    let city = ctx.input();
    let forecast = match fetch_forecast(city.clone()).await {
        Ok(forecast) => forecast,
        // The body's own error, also after a replay.
        Err(error) => match error.downcast() {
            Some(ServiceError::UnknownCity(city)) => return Ok(format!("nobody knows {city}")),
            _ => return Err(error),
        },
    };
    let wind = measure_wind(city.clone()).await?;
    // Options can be set for one call, too.
    let limited = measure_wind(city.clone())
        .named("measure_gusts")
        .max_attempts(1)
        .timeout(Duration::from_millis(50));
    let gusts = limited.await?;
    Ok(format!("{forecast}, wind {wind}, gusts {gusts}"))
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    for city in ["Lisbon", "Atlantis"] {
        let run = report_weather.run(city.to_owned()).await?;
        println!(
            "{city}: {}",
            run.output().map_or("no report", String::as_str)
        );
        for task in run.tasks().await? {
            let error = task.last_error().unwrap_or_default();
            println!(
                "  {:<15} {:?}, attempts: {}  {error}",
                task.name(),
                task.status(),
                task.attempts()
            );
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use flux::{Engine, EventKind, Execution, TaskStatus};

    async fn report(city: &str) -> Execution<String> {
        report_weather
            .on(&Engine::in_memory())
            .run(city.to_owned())
            .await
            .unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn a_transient_error_is_tried_again_and_a_silent_service_is_replaced() {
        let run = report("Lisbon").await;
        assert_eq!(run.output().unwrap(), "sun in Lisbon, wind 6, gusts 6");
        let tasks = run.tasks().await.unwrap();
        assert!(
            tasks
                .iter()
                .all(|task| task.status() == TaskStatus::Completed)
        );
        let failed = run
            .events()
            .await
            .unwrap()
            .into_iter()
            .filter(|event| event.kind == EventKind::TaskAttemptFailed);
        // Two busy answers, two silent gauges, one silent gauge with a shorter patience.
        assert_eq!(failed.count(), 5);
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_not_worth_a_retry_is_tried_once() {
        let run = report("Atlantis").await;
        assert_eq!(run.output().unwrap(), "nobody knows Atlantis");
        assert_eq!(run.tasks().await.unwrap()[0].attempts(), 1);
    }
}
