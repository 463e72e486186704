//! The workflows that are measured: nothing in them takes time but Flux.

use flux::{ExecutionContext, TaskError, task, workflow};

#[task]
async fn increment(number: u64) -> u64 {
    number + 1
}

/// So many trivial tasks, one after another.
#[workflow]
pub(crate) async fn count_up(ctx: ExecutionContext<u64>) -> Result<u64, TaskError> {
    let mut total = 0;
    for number in 0..*ctx.input() {
        total += increment(number).await?;
    }
    Ok(total)
}

/// The same, and then a pause: a resume of it replays everything.
#[workflow]
pub(crate) async fn count_and_pause(ctx: ExecutionContext<u64>) -> Result<u64, TaskError> {
    let mut total = 0;
    for number in 0..*ctx.input() {
        total += increment(number).await?;
    }
    flux::pause("counted").await;
    Ok(total)
}
