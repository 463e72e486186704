//! The workflows whose histories are recorded. They are never changed, like code with executions in flight: what is new
//! is another workflow.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use flux::sqlite::transaction;
use flux::time::{days, secs};
use flux::{ExecutionContext, TaskError, Terminal, task, task_context, workflow};
use futures::FutureExt;
use serde::{Deserialize, Serialize};

/// Whether the stove works. Only the bodies ask, so it matters while a history is recorded and never in a replay.
pub(crate) static IS_REPAIRED: AtomicBool = AtomicBool::new(false);

/// Whether a body that is cut off has begun.
pub(crate) static HAS_BEGUN: AtomicBool = AtomicBool::new(false);

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, thiserror::Error)]
pub(crate) enum StoveError {
    #[error("the stove is {degrees} degrees cold")]
    Cold { degrees: u32 },
}

#[task]
async fn boil(cups: u32) -> u32 {
    cups
}

#[task(max_attempts = 3, backoff = "fixed(1s)")]
async fn pour(cups: u32) -> Result<String, String> {
    match task_context().map(|body| body.attempt()) {
        Some(3) => Ok(format!("{cups} cups")),
        attempt => Err(format!("spilled in attempt {attempt:?}")),
    }
}

#[task(error = "stove")]
async fn heat() -> Result<u32, StoveError> {
    if IS_REPAIRED.load(Ordering::SeqCst) {
        return Ok(90);
    }
    Err(StoveError::Cold { degrees: 4 })
}

#[task(max_attempts = 5)]
async fn refuse(reason: String) -> Result<(), Terminal<String>> {
    Err(flux::terminal(reason))
}

#[task]
async fn stir(millis: u64) -> u64 {
    tokio::time::sleep(Duration::from_millis(millis)).await;
    millis
}

/// The first body never ends, and is cut off with its process.
#[task]
async fn steep_for_long(_leaves: String) -> u32 {
    if HAS_BEGUN.swap(true, Ordering::SeqCst) {
        return 5;
    }
    std::future::pending().await
}

#[task(at_most_once)]
async fn break_cup() -> u32 {
    HAS_BEGUN.store(true, Ordering::SeqCst);
    std::future::pending().await
}

#[task(rollback = wash)]
async fn use_cup(cup: u32) -> String {
    format!("cup {cup}")
}

#[task]
async fn wash(cup: u32, _used: Option<String>) -> Result<u32, String> {
    Ok(cup)
}

/// Values, patches, published values, a step, and calls that are alike.
#[workflow]
pub(crate) async fn draw_lots(ctx: ExecutionContext<u32>) -> Result<u32, TaskError> {
    let _name = (flux::uuid(), flux::random::<u8>(), flux::now());
    let mut sum = 0;
    for cups in 0..*ctx.input() {
        sum += boil(cups).await?;
        flux::publish("sum", &sum);
    }
    if flux::patched("sugar") {
        sum += flux::step("sweeten", async { Ok::<_, String>(1) }).await?;
    }
    let (one, two, three) = tokio::join!(boil(7), boil(7), boil(7));
    Ok(sum + one? + two? + three?)
}

/// A timer, a schedule, a signal, a pause point with a value.
#[workflow]
pub(crate) async fn steep_tea(_ctx: ExecutionContext) -> Result<u32, TaskError> {
    flux::sleep(secs(2)).await;
    flux::sleep_until_cron("0 3 * * *").await;
    let sugar = flux::signal::<u32>("sugar").await;
    let milk = flux::pause("milk").value::<u32>().await;
    boil(sugar + milk).await
}

/// Attempts that fail; errors that are caught, with and without a type.
#[workflow]
pub(crate) async fn pour_tea(_ctx: ExecutionContext) -> Result<String, TaskError> {
    let poured = pour(2).await?;
    let refused = refuse("no saucer".to_owned()).await;
    let cold = heat().await.map_err(|error| error.downcast::<StoveError>());
    assert_eq!(cold, Err(Some(StoveError::Cold { degrees: 4 })));
    Ok(format!("{poured}, {}", refused.unwrap_err().message()))
}

/// A race of which both have ended, one whose loser is cut off, and a limit that passes.
#[workflow]
pub(crate) async fn race_spoons(_ctx: ExecutionContext) -> Result<u64, TaskError> {
    let both = tokio::select! {
        biased;
        first = stir(10) => first?,
        second = stir(10).map(|stirred| stirred.map(|millis| millis + 1)) => second?,
    };
    let one = tokio::select! {
        fast = stir(5) => fast?,
        slow = stir(60_000) => slow?,
    };
    let never = flux::timeout(secs(1), flux::signal::<u64>("never")).await;
    Ok(both + one + never.unwrap_or(1))
}

/// Fails until it is repaired; what it did because of that is used again.
#[workflow]
pub(crate) async fn bake(_ctx: ExecutionContext) -> Result<u32, TaskError> {
    let (water, heat) = tokio::join!(boil(1), heat());
    let more = boil(2).await?;
    Ok(water? + more + heat?)
}

/// Tries itself again by itself, and decides on its failures.
#[workflow(max_attempts = 3)]
pub(crate) async fn try_twice(ctx: ExecutionContext) -> Result<u32, String> {
    let water = boil(1).await.map_err(|error| error.to_string())?;
    match ctx.attempt() {
        1 => Err("not yet".to_owned()),
        _ => Ok(water),
    }
}

#[workflow]
pub(crate) async fn be_cut_off(_ctx: ExecutionContext) -> Result<u32, TaskError> {
    steep_for_long("green".to_owned()).await
}

/// Deals with a task of which nobody knows whether it did its work.
#[workflow]
pub(crate) async fn be_in_doubt(_ctx: ExecutionContext) -> Result<u32, TaskError> {
    match break_cup().await {
        Ok(cups) => Ok(cups),
        Err(_) => boil(1).await,
    }
}

#[workflow]
pub(crate) async fn hold_cup(_ctx: ExecutionContext) -> Result<(), TaskError> {
    flux::sleep(days(1)).await;
    Ok(())
}

#[workflow]
pub(crate) async fn drop_cup(_ctx: ExecutionContext<u32>) -> Result<(), TaskError> {
    refuse("it slipped".to_owned()).await
}

/// Children that return, fail and are dropped.
#[workflow]
pub(crate) async fn lay_table(_ctx: ExecutionContext) -> Result<u32, TaskError> {
    let (tried, dropped) = tokio::join!(try_twice.call(()), drop_cup.call(3));
    assert!(dropped.is_err());
    let held = flux::timeout(secs(1), hold_cup.call(())).await;
    assert!(held.is_err());
    tried
}

/// Two bodies, of which a stop lets the first end and leaves the second to another process.
#[workflow]
pub(crate) async fn stir_twice(_ctx: ExecutionContext) -> Result<u64, TaskError> {
    Ok(stir(2_000).await? + stir(1_000).await?)
}

/// Cleans up when it is cancelled.
#[workflow]
pub(crate) async fn keep_warm(ctx: ExecutionContext) -> Result<u32, TaskError> {
    ctx.on_exit(|| boil(3));
    use_cup(1).await?;
    tokio::select! {
        () = flux::sleep(days(9)) => Ok(0),
        () = flux::cancelled() => boil(1).await,
    }
}

/// Does not listen, and is dropped; what it did is undone.
#[workflow]
pub(crate) async fn wait_for_guests(ctx: ExecutionContext) -> Result<(), TaskError> {
    ctx.on_exit(|| boil(4));
    use_cup(1).await?;
    use_cup(2).await?;
    flux::pause("guests").await;
    Ok(())
}

#[workflow(deadline = "1s")]
pub(crate) async fn be_late(ctx: ExecutionContext) -> Result<(), TaskError> {
    ctx.on_exit(|| boil(5));
    flux::signal::<()>("never").await;
    Ok(())
}

/// Undoes what it did: once because it decides to, and once because it fails.
#[workflow]
pub(crate) async fn spill(ctx: ExecutionContext) -> Result<u32, TaskError> {
    ctx.on_exit(|| boil(6));
    use_cup(1).await?;
    flux::roll_back().await?;
    use_cup(2).await?;
    flux::pause("spilled").await;
    heat().await
}

#[workflow]
pub(crate) async fn pour_for_ever(ctx: ExecutionContext<u32>) -> Result<u32, TaskError> {
    let cups = boil(*ctx.input()).await?;
    if cups < 3 {
        ctx.continue_as_new(cups + 1).await;
    }
    Ok(cups)
}

/// Is woken by what is not durable, in the middle of calls.
#[workflow]
pub(crate) async fn wait_for_kettle(_ctx: ExecutionContext) -> Result<u32, TaskError> {
    let before = boil(1).await?;
    tokio::time::sleep(Duration::from_millis(20)).await;
    Ok(before + boil(2).await?)
}

#[workflow]
pub(crate) async fn trip_over(_ctx: ExecutionContext) -> Result<u32, TaskError> {
    let cups = boil(1).await?;
    panic!("{cups} cup is broken")
}

#[task]
async fn write_bill(cents: i64) -> Result<usize, TaskError> {
    transaction("bill", move |db| {
        db.execute("INSERT INTO bills VALUES (?1)", [cents])
    })
    .await
}

/// Statements of its own, in the workflow and in a body; some are refused by the table.
#[workflow]
pub(crate) async fn pay_bill(_ctx: ExecutionContext) -> Result<i64, TaskError> {
    transaction("set up", |db| {
        db.execute_batch("CREATE TABLE IF NOT EXISTS bills (cents INTEGER CHECK (cents > 0))")
    })
    .await?;
    write_bill(30).await?;
    let refused = write_bill(-1).await;
    assert!(refused.is_err());
    transaction("sum", |db| {
        db.query_row("SELECT sum(cents) FROM bills", [], |row| row.get(0))
    })
    .await
}
