//! A program with the commands of `flux`, and workflows of its own to run with them.
//!
//!     cargo run -p flux-cli --example shop -- run place_order --input '{"item": "tea", "cents": 450}' --follow
//!     cargo run -p flux-cli --example shop -- worker
//!     cargo run -p flux-cli --example shop -- show ..

use std::time::Duration;

use flux::time::hours;
use flux::{ExecutionContext, State, TaskError, task, workflow};
use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Order {
    item: String,
    #[serde(default)]
    cents: u32,
}

#[task]
async fn reserve(item: String) -> String {
    format!("{item} reserved")
}

/// Where the money goes: what a task needs beside its input, given to the engine and recorded nowhere.
struct Till {
    currency: &'static str,
}

impl Till {
    /// Opens it, which a real one may refuse: `SHOP_TILL=closed` does.
    fn open() -> Result<Self, std::io::Error> {
        match std::env::var("SHOP_TILL").as_deref() {
            Ok("closed") => Err(std::io::Error::other("the till is closed")),
            _ => Ok(Self { currency: "cents" }),
        }
    }
}

/// Fails for what costs nothing.
#[task(max_attempts = 3, backoff = "fixed(20ms)")]
async fn charge(cents: u32, till: State<Till>) -> Result<String, String> {
    if cents == 0 {
        return Err("nothing to charge".to_owned());
    }
    Ok(format!("receipt for {cents} {}", till.currency))
}

#[task]
async fn ship(receipt: String) -> String {
    format!("shipped, with {receipt}")
}

/// An order, from reservation to parcel.
#[workflow(tags("shop"))]
async fn place_order(ctx: ExecutionContext<Order>) -> Result<String, TaskError> {
    let order = ctx.input().clone();
    reserve(order.item).await?;
    let receipt = charge(order.cents).await?;
    ship(receipt).await
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Decision {
    approved: bool,
}

/// A person is asked, and may take two days.
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

/// One parcel of several.
#[workflow(queue = "parcels")]
async fn send_parcel(ctx: ExecutionContext<u32>) -> Result<String, TaskError> {
    ship(format!("parcel {}", ctx.input())).await
}

/// Calls another workflow.
#[workflow]
async fn send_all(ctx: ExecutionContext<u32>) -> Result<usize, TaskError> {
    let mut sent = 0;
    for parcel in 1..=*ctx.input() {
        send_parcel.call(parcel).await?;
        sent += 1;
    }
    Ok(sent)
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Person {
    #[serde(default = "no_name")]
    name: String,
}

fn no_name() -> String {
    "no name".to_owned()
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Greeting {
    text: String,
    name_length: usize,
}

#[task]
async fn say_hello(name: String) -> String {
    format!("hello, {name}!")
}

#[task]
async fn count_characters(name: String) -> usize {
    name.chars().count()
}

/// Takes a name, or none.
#[workflow]
async fn greet_person(ctx: ExecutionContext<Person>) -> Result<Greeting, TaskError> {
    let name = ctx.input().name.clone();
    let hello = say_hello(name.clone()).await?;
    let name_length = count_characters(name).await?;
    let text = format!("{hello} Your name is {name_length} characters long");
    Ok(Greeting { text, name_length })
}

#[task]
async fn work(millis: u64) -> u64 {
    tokio::time::sleep(Duration::from_millis(millis)).await;
    millis
}

/// Takes its time, five tasks of the milliseconds given.
#[workflow]
async fn work_slowly(ctx: ExecutionContext<u64>) -> Result<u64, TaskError> {
    let mut done = 0;
    for _ in 0..5 {
        done += work(*ctx.input()).await?;
    }
    Ok(done)
}

/// Starts by itself, once a day.
#[workflow(schedule = "0 3 * * * Europe/Berlin")]
async fn count_stock(_ctx: ExecutionContext) {}

/// The commands that run code open the till; those that look do not.
fn main() {
    flux::cli::main_with(|engine| async { Ok::<_, std::io::Error>(engine.state(Till::open()?)) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use flux::Engine;

    #[tokio::test]
    async fn an_order_is_shipped() {
        let order = Order {
            item: "tea".to_owned(),
            cents: 450,
        };
        let engine = Engine::builder().in_memory().state(Till::open().unwrap());
        let engine = engine.build().await.unwrap();
        let run = place_order.on(&engine).run(order).await.unwrap();
        assert_eq!(run.output().unwrap(), "shipped, with receipt for 450 cents");
    }
}
