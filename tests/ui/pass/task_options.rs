//! Every option of a task, as it is written.
use std::time::Duration;

use flux::__private::{TaskEntry, TaskOptions};
use flux::{Backoff, State, task};

#[derive(Debug, thiserror::Error)]
enum PaymentError {
    #[error("the bank does not answer")]
    Silence,
    #[error("declined")]
    Declined,
}

impl PaymentError {
    fn is_transient(&self) -> bool {
        matches!(self, Self::Silence)
    }
}

#[task]
async fn bare() {}

#[task()]
async fn empty() {}

#[task(
    name = "charge-{region}-{{card}}",
    max_attempts = 3,
    backoff = "exponential(100ms, 2.0, max = 30s)",
    retry_if = PaymentError::is_transient,
    timeout = "30s",
    deadline = "1h30m",
    fallback = charge_by_invoice,
    at_most_once
)]
async fn charge(region: String, amount: u32) -> Result<u32, PaymentError> {
    match region.as_str() {
        "eu" => Ok(amount),
        "us" => Err(PaymentError::Declined),
        _ => Err(PaymentError::Silence),
    }
}

#[task(retries = 2, backoff = "fixed(1s)", timeout = "never", retry_if = |error| !error.is_empty())]
async fn charge_by_invoice(region: String, amount: u32) -> Result<u32, String> {
    Err(format!("{region}: {amount}"))
}

#[task(name = "{{patient}}", max_attempts = "unlimited", deadline = "2d")]
async fn patient(_limits: State<u32>) {}

#[task(fallback = estimate)]
async fn measure(text: String) -> usize {
    text.len()
}

#[task(rollback = unreserve)]
async fn reserve(seat: u32) -> Result<String, String> {
    Ok(format!("seat {seat}"))
}

#[task(max_attempts = 9)]
async fn unreserve(_seat: u32, _reserved: Option<String>) -> u32 {
    1
}

#[task(rollback = self::close::close, blocking)]
fn open() {}

// A rollback may be no task; it is `async` then.
mod close {
    pub async fn close(_opened: Option<()>) -> Result<(), std::io::Error> {
        Ok(())
    }
}

#[task(rollback = undo_injected)]
async fn injected(_limits: State<u32>, _at: (u8, u8)) -> bool {
    true
}

async fn undo_injected(_at: (u8, u8), _was: Option<bool>) {}

// A fallback may be plain and may be infallible.
fn estimate(_text: String) -> usize {
    1
}

fn options(name: &str) -> TaskOptions {
    let mut entries = flux::__private::inventory::iter::<TaskEntry>.into_iter();
    entries
        .find(|entry| entry.0.name == name)
        .unwrap()
        .0
        .options
}

fn main() {
    let _ = (bare(), empty(), patient(), measure(String::new()));
    let _ = (reserve(1), open(), injected((1, 2)));
    let call = format!("{:?}", charge("eu".to_owned(), 1));
    assert!(call.contains("charge-eu-{card}"), "{call}");

    let charge = options("charge-{region}-{{card}}");
    let backoff = Backoff::Exponential {
        initial: Duration::from_millis(100),
        factor: 2.0,
        max: Duration::from_secs(30),
    };
    assert_eq!(charge.max_attempts, Some(3));
    assert_eq!(charge.backoff, Some(backoff));
    assert_eq!(charge.timeout, Some(Duration::from_secs(30)));
    assert_eq!(charge.deadline, Some(Duration::from_mins(90)));
    assert!(charge.at_most_once);

    let invoice = options("charge_by_invoice");
    assert_eq!(invoice.max_attempts, Some(3));
    assert_eq!(
        invoice.backoff,
        Some(Backoff::Fixed(Duration::from_secs(1)))
    );
    assert_eq!(invoice.timeout, None);
    assert!(!invoice.at_most_once);

    assert_eq!(options("{patient}").max_attempts, Some(u32::MAX));
    assert_eq!(options("bare").max_attempts, None);
}
