//! The workflows that are measured: nothing in them takes time but Flux.

use flux::{ExecutionContext, TaskError, task, workflow};
use futures::stream::{FuturesUnordered, StreamExt as _};

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

#[task(max_attempts = 1)]
async fn refuse(number: u64) -> Result<u64, String> {
    Err(format!("the other side does not take {number}"))
}

/// Fails, after a task that did not.
#[workflow]
pub(crate) async fn fail(ctx: ExecutionContext<u64>) -> Result<u64, TaskError> {
    let number = increment(*ctx.input()).await?;
    refuse(number).await
}

#[workflow]
async fn leaf(ctx: ExecutionContext<u32>) -> u32 {
    *ctx.input()
}

/// So many children at once.
#[workflow]
pub(crate) async fn spread(ctx: ExecutionContext<u32>) -> Result<u64, TaskError> {
    let mut children: FuturesUnordered<_> = (0..*ctx.input()).map(|n| leaf.call(n)).collect();
    let mut sum = 0;
    while let Some(done) = children.next().await {
        sum += u64::from(done?);
    }
    Ok(sum)
}

/// A child, and its child, and so on.
#[workflow]
pub(crate) async fn dig(ctx: ExecutionContext<u32>) -> Result<u32, TaskError> {
    match ctx.input() {
        0 => Ok(0),
        deeper => Ok(dig.call(deeper - 1).await? + 1),
    }
}

/// Waits until a moment, in microseconds since 1970.
#[workflow]
pub(crate) async fn sleep_until(ctx: ExecutionContext<u64>) -> u64 {
    let moment = std::time::UNIX_EPOCH + std::time::Duration::from_micros(*ctx.input());
    flux::sleep_until(moment).await;
    *ctx.input()
}

/// Waits for its process to be killed, the first time; `input` is a file that then exists.
#[workflow]
pub(crate) async fn survive(ctx: ExecutionContext<String>) -> Result<bool, TaskError> {
    hang_once(ctx.input().clone()).await
}

#[task]
async fn hang_once(marker: String) -> bool {
    if !std::path::Path::new(&marker).exists() {
        // Whoever reads the marker kills this process.
        let _ = std::fs::write(&marker, "");
        std::future::pending::<()>().await;
    }
    true
}
