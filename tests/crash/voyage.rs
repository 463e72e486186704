//! A workflow with one of everything: tasks, retries, a timer, a race, a fan-out, a signal, a child, pauses.

use std::sync::Arc;
use std::time::Duration;

use flux::{ExecutionContext, State, TaskError, task, workflow};
use futures::{StreamExt, stream};

use crate::world::World;

/// A body: it has its effect between the two.
async fn body(yard: &World, name: &str, ms: u64) -> u32 {
    let attempt = yard.begin(name);
    tokio::time::sleep(Duration::from_millis(ms)).await;
    attempt
}

#[task]
async fn build(size: u64, yard: State<Arc<World>>) -> u64 {
    body(&yard, "build", 1).await;
    yard.end("build");
    size * 3
}

#[task(max_attempts = 3, backoff = "fixed(1ms)")]
async fn hire(hull: u64, yard: State<Arc<World>>) -> Result<u64, String> {
    if body(&yard, "hire", 1).await < 3 {
        return Err("nobody comes".to_owned());
    }
    yard.end("hire");
    Ok(hull + 7)
}

#[task]
async fn load(crew: u64, yard: State<Arc<World>>) -> u64 {
    body(&yard, "load", 2).await;
    yard.end("load");
    crew * 2
}

#[task]
async fn chart(by: String, ms: u64, yard: State<Arc<World>>) -> String {
    let name = format!("chart-{by}");
    body(&yard, &name, ms).await;
    yard.end(&name);
    by
}

#[task]
async fn stow(number: u64, yard: State<Arc<World>>) -> u64 {
    let name = format!("stow-{number}");
    body(&yard, &name, 3 - number % 3).await;
    yard.end(&name);
    number * number
}

#[task]
async fn whistle(yard: State<Arc<World>>) -> bool {
    body(&yard, "whistle", 1).await;
    let me = flux::task_context().expect("a body");
    let key = flux::idempotency_key();
    let sent = yard
        .engine()
        .signal_once(me.execution_id(), "wind", &11_u64, &key)
        .await;
    yard.end("whistle");
    sent.is_ok()
}

#[task]
async fn question(ship: u64, yard: State<Arc<World>>) -> u64 {
    body(&yard, "question", 1).await;
    yard.end("question");
    ship % 97
}

#[task]
async fn depart(with: String, yard: State<Arc<World>>) -> String {
    body(&yard, "depart", 1).await;
    yard.end("depart");
    format!("departed with {with}")
}

/// The child: it pauses, too.
#[workflow]
pub(crate) async fn take_pilot(ctx: ExecutionContext<u64>) -> Result<u64, TaskError> {
    let answer = question(*ctx.input()).await?;
    let licence = flux::pause("licence").value::<u64>().await;
    Ok(answer + licence)
}

#[workflow]
pub(crate) async fn sail(ctx: ExecutionContext<u64>) -> Result<String, TaskError> {
    let hull = build(*ctx.input()).await?;
    let crew = hire(hull).await?;
    let (cargo, ()) = tokio::join!(load(crew), flux::sleep(Duration::from_millis(4)));
    let cargo = cargo?;
    let route = tokio::select! {
        route = chart("slow".to_owned(), 3_600_000) => route?,
        route = chart("fast".to_owned(), 1) => route?,
    };
    let crates: Vec<_> = stream::iter(0..4_u64).map(stow).buffered(2).collect().await;
    let crates: u64 = crates.into_iter().sum::<Result<u64, _>>()?;
    let (wind, heard) = tokio::join!(flux::signal::<u64>("wind"), whistle());
    heard?;
    let pilot = take_pilot.call(cargo).await?;
    flux::publish("route", &route);
    let inspected = flux::pause("inspection").value::<u64>().await;
    depart(format!(
        "{cargo} {route} {crates} {wind} {pilot} {inspected}"
    ))
    .await
}

/// What it comes to, undisturbed.
pub(crate) const OUTPUT: &str = "departed with 74 fast 14 11 79 1013";

/// What a pause point is answered with.
pub(crate) fn answer(name: &str) -> u64 {
    match name {
        "licence" => 5,
        _ => 1013,
    }
}
