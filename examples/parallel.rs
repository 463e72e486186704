//! Seven chapters are counted, at most five at once, and summed when all are done.
//!
//! ```text
//! cargo run --example parallel
//! ```
//!
//! Fan-out and fan-in need nothing of Flux: `buffered(5)` is that of the `futures` crate. Each chapter is a recorded
//! call, so a crash in the middle costs only the chapters that were not done.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};
use std::time::Duration;

use flux::{Engine, ExecutionContext, State, TaskError, task, workflow};
use futures::{StreamExt, TryStreamExt};

/// Knows how many chapters are open. It is injected, and no part of the history.
struct Desk {
    open: AtomicU32,
    most_at_once: AtomicU32,
    opened: AtomicU32,
    /// Readers fall asleep over this chapter and those after it.
    boring_from: AtomicU32,
}

#[task]
async fn split_book(chapters: u32) -> Vec<u32> {
    (1..=chapters).collect()
}

#[task(name = "count-chapter-{chapter}")]
async fn count_words(chapter: u32, desk: State<Arc<Desk>>) -> u32 {
    desk.opened.fetch_add(1, SeqCst);
    let open = desk.open.fetch_add(1, SeqCst) + 1;
    desk.most_at_once.fetch_max(open, SeqCst);
    // Later chapters are shorter and done first; the results keep their order all the same.
    let is_boring = chapter >= desk.boring_from.load(SeqCst);
    let time = if is_boring {
        Duration::MAX
    } else {
        Duration::from_millis(u64::from(100 - 10 * chapter))
    };
    tokio::time::sleep(time).await;
    desk.open.fetch_sub(1, SeqCst);
    chapter * 1000
}

#[task]
async fn sum_up(counts: Vec<u32>) -> String {
    format!("{} words in {counts:?}", counts.iter().sum::<u32>())
}

#[workflow]
async fn count_book(ctx: ExecutionContext<u32>) -> Result<String, TaskError> {
    let chapters = split_book(*ctx.input()).await?;
    let counts = futures::stream::iter(chapters)
        .map(count_words)
        .buffered(5)
        .try_collect()
        .await?;
    sum_up(counts).await
}

impl Desk {
    fn new(boring_from: u32) -> Arc<Self> {
        Arc::new(Self {
            open: AtomicU32::new(0),
            most_at_once: AtomicU32::new(0),
            opened: AtomicU32::new(0),
            boring_from: AtomicU32::new(boring_from),
        })
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let desk = Desk::new(u32::MAX);
    let engine = Engine::builder()
        .in_memory()
        .state(Arc::clone(&desk))
        .build()
        .await?;
    let run = count_book.on(&engine).run(7).await?;
    for task in run.tasks().await? {
        println!(
            "{:<16} {:?}",
            task.name(),
            task.duration().unwrap_or_default()
        );
    }
    println!(
        "{}, at most {} at once",
        run.into_result()?,
        desk.most_at_once.load(SeqCst)
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use flux::{EventKind, Status};

    async fn engine(desk: &Arc<Desk>) -> Engine {
        Engine::builder()
            .in_memory()
            .state(Arc::clone(desk))
            .build()
            .await
            .unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn seven_chapters_are_counted_five_at_once_and_summed_in_order() {
        let desk = Desk::new(u32::MAX);
        let run = count_book.on(&engine(&desk).await).run(7).await.unwrap();
        let expected = "28000 words in [1000, 2000, 3000, 4000, 5000, 6000, 7000]";
        assert_eq!(run.output().unwrap(), expected);
        assert_eq!(
            (desk.opened.load(SeqCst), desk.most_at_once.load(SeqCst)),
            (7, 5)
        );
    }

    #[tokio::test(start_paused = true)]
    async fn an_empty_book_has_no_words() {
        let desk = Desk::new(u32::MAX);
        let run = count_book.on(&engine(&desk).await).run(0).await.unwrap();
        assert_eq!(run.output().unwrap(), "0 words in []");
        assert_eq!(desk.opened.load(SeqCst), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn after_a_crash_only_the_chapters_that_were_not_done_are_counted() {
        let desk = Desk::new(4);
        let engine = engine(&desk).await;
        // Dropping the future of a run is a crash. It is dropped when the split and three chapters are recorded.
        let run = count_book.on(&engine).run(7).execution_id("book");
        let three_chapters = async {
            while engine.get("book").await.is_err() {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            let mut events = engine.subscribe("book").await.unwrap();
            for _ in 0..4 {
                events.wait_for(EventKind::TaskCompleted).await.unwrap();
            }
        };
        tokio::select! {
            run = run => panic!("finished: {run:?}"),
            () = three_chapters => {}
        }

        desk.boring_from.store(u32::MAX, SeqCst);
        desk.opened.store(0, SeqCst);
        let run = count_book.on(&engine).resume("book").await.unwrap();
        assert_eq!(run.status(), Status::Completed);
        assert!(run.output().unwrap().starts_with("28000 words"));
        assert_eq!(desk.opened.load(SeqCst), 4);
    }
}
