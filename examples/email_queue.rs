//! A queue of letters: a few at a time, no more than the provider allows per second, the urgent ones first.
//!
//! ```text
//! cargo run --example email_queue     # Ctrl-C stops it in order: what is not sent yet stays in the queue
//! ```
//!
//! The limits are kept in the store: they hold for all workers of all processes together, and whatever is killed.

use std::time::{Duration, SystemTime};

use flux::{Engine, Error, ExecutionContext, TaskError, task, workflow};

/// How many letters the provider takes in any span of 250 ms.
const RATE: usize = 5;
const SPAN: Duration = Duration::from_millis(250);

#[task(max_attempts = 5, backoff = "exponential(50ms, 2.0, max = 1s)")]
async fn hand_in(to: String) -> String {
    format!("sent to {to}")
}

#[workflow(queue = "emails")]
async fn send_email(ctx: ExecutionContext<String>) -> Result<String, TaskError> {
    hand_in(ctx.input().clone()).await
}

/// Sends twenty letters and an urgent one, and returns when each was begun, the urgent one first.
async fn send_all(engine: &Engine) -> Result<Vec<SystemTime>, Box<dyn std::error::Error>> {
    engine
        .queue("emails")
        .concurrency(3)
        .rate("5/250ms")
        .await?;
    let mut letters = Vec::new();
    for number in 1..=20 {
        let letter = send_email
            .on(engine)
            .start(format!("reader-{number}@example.org"));
        letters.push(letter.await?);
    }
    let urgent = send_email
        .on(engine)
        .start("editor@example.org".to_owned())
        .priority(10);
    letters.insert(0, urgent.await?);

    // The same request comes in twice; the second one gets the letter that is on its way.
    let welcome = || {
        send_email
            .on(engine)
            .start("new@example.org".to_owned())
            .dedup("welcome-new")
    };
    let (first, again) = (welcome().await?, welcome().await?);
    assert_eq!(first.execution_id(), again.execution_id());
    let refused = welcome().refuse_duplicate().await;
    assert!(matches!(refused, Err(Error::Duplicate { .. })));

    let worker = engine.worker().queue("emails").spawn();
    let mut begun = Vec::new();
    for letter in &letters {
        let sent = letter.wait().await?;
        begun.push(
            sent.started_at()
                .ok_or("it was sent without being started")?,
        );
    }
    worker.stop().await;
    Ok(begun)
}

/// Whether no span of the given length has more moments than allowed.
fn rate_holds(mut moments: Vec<SystemTime>) -> bool {
    moments.sort();
    moments.windows(RATE + 1).all(|some| {
        let span = some[RATE].duration_since(some[0]);
        span.is_ok_and(|span| span >= SPAN)
    })
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let engine = Engine::in_memory();
    let begun = tokio::select! {
        begun = send_all(&engine) => begun?,
        () = flux::shutdown_signal() => {
            println!("stopped; {} letters wait", engine.queue("emails").info().await?.pending);
            return Ok(());
        }
    };
    let (first, last) = (begun.iter().min(), begun.iter().max());
    println!("the urgent letter went first: {}", begun.first() == first);
    println!(
        "no more than {RATE} in any {SPAN:?}: {}",
        rate_holds(begun.clone())
    );
    if let (Some(first), Some(last)) = (first, last) {
        println!("all {} in {:?}", begun.len(), last.duration_since(*first)?);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_rate_holds_and_the_urgent_letter_goes_first() {
        let begun = send_all(&Engine::in_memory()).await.unwrap();
        assert_eq!(begun.iter().min(), begun.first());
        assert!(rate_holds(begun));
    }
}
