//! The workflows whose executions are in the seeded store. Some are those of the program `shop`, with bodies that take
//! time of the [clock](super::clock); `greet_person` is another there, so that its histories do not fit `shop`.

use std::sync::LazyLock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use flux::time::{days, hours};
use flux::{ExecutionContext, TaskError, task, workflow};
use serde::{Deserialize, Serialize};

use super::clock::SeedClock;

/// The moment at which the first execution begins.
pub(super) const BEGIN: &str = "2024-03-04T08:00:00Z";

/// The clock of the seeded store.
pub(super) static CLOCK: LazyLock<SeedClock> = LazyLock::new(|| SeedClock::at(super::utc(BEGIN)));

fn spend(millis: u64) {
    CLOCK.pass(Duration::from_millis(millis));
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Order {
    pub(super) item: String,
    #[serde(default)]
    pub(super) cents: u32,
}

#[task]
async fn reserve(item: String) -> String {
    spend(1200);
    format!("{item} reserved")
}

#[task(max_attempts = 3, backoff = "fixed(10s)")]
async fn charge(cents: u32) -> Result<String, String> {
    spend(800);
    if cents == 0 {
        return Err("nothing to charge".to_owned());
    }
    Ok(format!("receipt for {cents} cents"))
}

#[task]
async fn ship(receipt: String) -> String {
    spend(2050);
    format!("shipped, with {receipt}")
}

#[workflow(tags("shop"))]
async fn place_order(ctx: ExecutionContext<Order>) -> Result<String, TaskError> {
    let order = ctx.input().clone();
    reserve(order.item).await?;
    let receipt = charge(order.cents).await?;
    ship(receipt).await
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Decision {
    pub(super) approved: bool,
}

#[workflow]
async fn review_order(ctx: ExecutionContext<Order>) -> Result<String, TaskError> {
    reserve(ctx.input().item.clone()).await?;
    let decision = flux::pause("review").value::<Decision>().await;
    if !decision.approved {
        return Ok("declined".to_owned());
    }
    match flux::timeout(hours(48), flux::signal::<u32>("paid")).await {
        Ok(cents) => charge(cents).await,
        Err(_elapsed) => Ok("not paid in time".to_owned()),
    }
}

/// Of two parcels the second is not picked up.
#[workflow(queue = "parcels")]
async fn send_parcel(ctx: ExecutionContext<u32>) -> Result<String, TaskError> {
    if *ctx.input() > 1 {
        flux::signal::<()>("picked_up").await;
    }
    ship(format!("parcel {}", ctx.input())).await
}

#[workflow]
async fn send_all(ctx: ExecutionContext<u32>) -> Result<usize, TaskError> {
    let mut sent = 0;
    for parcel in 1..=*ctx.input() {
        send_parcel.call(parcel).await?;
        sent += 1;
    }
    Ok(sent)
}

#[task]
async fn look_up(name: String) -> String {
    spend(5);
    name
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Person {
    name: String,
}

/// In `shop` it has other tasks.
#[workflow]
async fn greet_person(ctx: ExecutionContext<Person>) -> Result<String, TaskError> {
    look_up(ctx.input().name.clone()).await
}

/// Decides by itself to fail.
#[workflow]
async fn check_stock(ctx: ExecutionContext<String>) -> Result<u32, String> {
    Err(format!("no {} on any shelf", ctx.input()))
}

#[workflow]
async fn tidy_shelf(ctx: ExecutionContext<u32>) -> u32 {
    assert!(*ctx.input() < 10, "there is no shelf {}", ctx.input());
    *ctx.input()
}

#[workflow]
async fn sign_contract(_ctx: ExecutionContext) -> u32 {
    let ((), price) = tokio::join!(flux::pause("legal"), flux::pause("price").value::<u32>());
    price
}

#[workflow]
async fn remind(ctx: ExecutionContext<String>) -> Result<String, TaskError> {
    look_up(ctx.input().clone()).await?;
    flux::sleep(days(3)).await;
    look_up(ctx.input().clone()).await
}

#[task(max_attempts = 5, backoff = "fixed(6h)")]
async fn fetch(feed: String) -> Result<String, String> {
    spend(300);
    Err(format!("{feed} does not answer"))
}

#[workflow]
async fn fetch_rates(ctx: ExecutionContext<String>) -> Result<String, TaskError> {
    fetch(ctx.input().clone()).await
}

#[task(rollback = give_back)]
async fn book(what: String) -> String {
    spend(700);
    format!("{what} booked")
}

#[task]
async fn give_back(what: String, _booked: Option<String>) -> String {
    spend(400);
    what
}

#[workflow]
async fn book_trip(_ctx: ExecutionContext) -> Result<(), TaskError> {
    book("flight".to_owned()).await?;
    book("hotel".to_owned()).await?;
    flux::sleep(days(30)).await;
    Ok(())
}

#[task]
async fn count_page(page: u32) -> u32 {
    spend(10);
    page
}

#[workflow]
async fn count_pages(ctx: ExecutionContext<u32>) -> Result<u32, TaskError> {
    let mut last = 0;
    for page in 1..=*ctx.input() {
        last = count_page(page).await?;
    }
    Ok(last)
}

/// Whether the file that `read_file` reads is there.
pub(super) static IS_THERE: AtomicBool = AtomicBool::new(false);

#[task(max_attempts = 2, backoff = "fixed(1s)")]
async fn read_file(name: String) -> Result<u32, String> {
    spend(90);
    match IS_THERE.load(Ordering::Relaxed) {
        true => Ok(7),
        false => Err(format!("no file {name}")),
    }
}

#[workflow]
async fn import_file(ctx: ExecutionContext<String>) -> Result<u32, TaskError> {
    look_up(ctx.input().clone()).await?;
    read_file(ctx.input().clone()).await
}

#[workflow]
async fn count_stock(_ctx: ExecutionContext) {}

#[task]
async fn press() {
    spend(250);
    std::future::pending().await
}

/// Never ends: its process dies in it.
#[workflow]
async fn print_label(_ctx: ExecutionContext) -> Result<(), TaskError> {
    press().await
}

#[workflow(queue = "emails")]
async fn send_email(_ctx: ExecutionContext<String>) {}
