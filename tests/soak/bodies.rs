//! The tasks. Each leaves a trace in the ledger, and returns which run of its body it was.

use std::sync::Arc;
use std::time::Duration;

use flux::{ExecutionContext, State, task, workflow};

use crate::ledger::Ledger;
use crate::script::ms;

#[task(max_attempts = 4, backoff = "fixed(30ms)")]
pub async fn work(
    place: String,
    length: u64,
    fails: u32,
    book: State<Arc<Ledger>>,
) -> Result<String, String> {
    let run = book.begin("work");
    tokio::time::sleep(ms(length)).await;
    let run = run.end();
    let attempt = flux::task_context().map_or(1, |body| body.attempt());
    if attempt <= fails {
        return Err(format!("{place}: attempt {attempt} fails"));
    }
    Ok(run)
}

#[task(blocking)]
pub fn block(_place: String, length: u64, book: State<Arc<Ledger>>) -> String {
    let run = book.begin("block");
    std::thread::sleep(ms(length));
    run.end()
}

#[task(at_most_once)]
pub async fn fire(_place: String, length: u64, book: State<Arc<Ledger>>) -> String {
    let run = book.begin("fire");
    tokio::time::sleep(ms(length)).await;
    run.end()
}

#[task(rollback = give_back)]
pub async fn reserve(_place: String, length: u64, book: State<Arc<Ledger>>) -> String {
    let run = book.begin("reserve");
    tokio::time::sleep(ms(length)).await;
    run.end()
}

#[task(max_attempts = 5, backoff = "fixed(20ms)")]
pub async fn give_back(
    _place: String,
    _length: u64,
    _run: Option<String>,
    book: State<Arc<Ledger>>,
) -> String {
    let run = book.begin("give_back");
    run.end()
}

/// What is done at the end, and where a cancelled workflow tidies up.
#[task(max_attempts = 5, backoff = "fixed(20ms)")]
pub async fn tidy(_place: String, book: State<Arc<Ledger>>) -> String {
    let run = book.begin("tidy");
    tokio::time::sleep(Duration::from_millis(5)).await;
    run.end()
}

/// What only the second version asks for.
#[task]
pub async fn weigh(_place: String, book: State<Arc<Ledger>>) -> String {
    let run = book.begin("weigh");
    run.end()
}

#[workflow]
pub async fn tick(_ctx: ExecutionContext) -> Result<String, flux::TaskError> {
    tidy("tick".to_owned()).await
}
