//! Children that wait for a place that their parents hold, and parents that keep others from theirs.

use std::time::Duration;

use flux::{
    ChildPolicy, Engine, Execution, ExecutionContext, ExecutionId, Obstacle, ObstacleKind, Status,
    TaskError, task, workflow,
};
use tokio::time::Instant;

use crate::logging::Lines;
use crate::support::{Shelf, begin, unique};

#[workflow(queue = "imports")]
async fn import_page(ctx: ExecutionContext<u32>) -> u32 {
    *ctx.input()
}

#[workflow(queue = "imports")]
async fn import_book(_ctx: ExecutionContext) -> Result<u32, TaskError> {
    import_page.call(7).await
}

/// In no queue itself.
#[workflow]
async fn import_chapter(_ctx: ExecutionContext) -> Result<u32, TaskError> {
    import_page.call(7).await
}

#[workflow(queue = "imports")]
async fn import_long_book(_ctx: ExecutionContext) -> Result<u32, TaskError> {
    import_chapter.call(()).await
}

/// The child that does not start, once it says why.
async fn until_standoff(engine: &Engine) -> Execution {
    loop {
        let pages = engine.list().workflow("import_page").await.unwrap();
        let stuck = pages.into_iter().find(|page| {
            let kind = page.obstacle().map(Obstacle::kind);
            kind == Some(ObstacleKind::Standoff)
        });
        match stuck {
            Some(page) => return engine.get(page.execution_id()).await.unwrap(),
            None => tokio::time::sleep(Duration::from_millis(5)).await,
        }
    }
}

/// PITFALL: both waited for ever, and everything was said to be good.
#[tokio::test(flavor = "current_thread")]
async fn a_child_in_the_full_queue_of_its_parent_says_so_and_starts_when_there_is_room() {
    for shelf in Shelf::each().await {
        for workflow in [import_book, import_long_book] {
            let lines = Lines::default();
            let _guard = tracing::subscriber::set_default(lines.clone());
            let engine = shelf.engine().await;
            engine.queue("imports").concurrency(1).await.unwrap();
            let worker = engine.worker().spawn();
            let book = workflow.on(&engine).start(()).await.unwrap();
            let page = until_standoff(&engine).await;
            let message = page.obstacle().unwrap().message();
            assert!(
                message.contains("queue `imports` runs 1 at once"),
                "{message}"
            );
            assert!(message.contains(book.execution_id().as_str()), "{message}");
            assert!(page.to_string().contains("queue `imports`"), "{page}");
            assert_eq!(
                lines.having("a child waits for executions that wait for it"),
                1
            );
            engine.queue("imports").concurrency(2).await.unwrap();
            assert_eq!(book.wait().await.unwrap().output(), Some(&7));
            let page = engine.get(page.execution_id()).await.unwrap();
            assert_eq!(page.obstacle(), None, "{page}");
            worker.stop().await;
        }
    }
}

/// Each book has a place, and no page: none is its own page's only holder.
#[tokio::test(start_paused = true)]
async fn parents_that_fill_a_queue_together_are_found() {
    let shelf = Shelf::memory();
    let builder = shelf.builder().idle_after(Duration::from_millis(100));
    let engine = builder.build().await.unwrap();
    engine.queue("imports").concurrency(3).await.unwrap();
    let worker = engine.worker().spawn();
    let mut books = Vec::new();
    for _ in 0..3 {
        books.push(import_book.on(&engine).start(()).await.unwrap());
    }
    let began = Instant::now();
    let page = until_standoff(&engine).await;
    assert!(began.elapsed() < Duration::from_mins(1));
    let message = page.obstacle().unwrap().message();
    assert!(
        message.contains("queue `imports` runs 3 at once"),
        "{message}"
    );
    engine.queue("imports").concurrency(4).await.unwrap();
    for book in books {
        assert_eq!(book.wait().await.unwrap().output(), Some(&7));
    }
    worker.stop().await;
}

#[workflow(queue = "orders")]
async fn check_order(_ctx: ExecutionContext) -> Result<u32, TaskError> {
    check_stock.call(false).await
}

#[workflow(queue = "stock")]
async fn check_stock(ctx: ExecutionContext<bool>) -> Result<u32, TaskError> {
    if *ctx.input() {
        check_order.call(()).await
    } else {
        Ok(7)
    }
}

/// The parents in one queue wait for children in the other, and the other way round.
#[tokio::test(start_paused = true)]
async fn parents_in_two_queues_that_wait_for_each_other_are_found() {
    let shelf = Shelf::memory();
    let builder = shelf.builder().idle_after(Duration::from_millis(100));
    let engine = builder.build().await.unwrap();
    for queue in ["orders", "stock"] {
        engine.queue(queue).concurrency(1).await.unwrap();
    }
    let order = check_order.on(&engine).start(()).await.unwrap();
    let stock = check_stock.on(&engine).start(true).await.unwrap();
    let worker = engine.worker().spawn();
    let stuck = async || {
        let pending = engine.list().status(Status::Pending).await.unwrap();
        let kinds = pending.iter().filter_map(|child| child.obstacle());
        let standoffs = kinds.filter(|obstacle| obstacle.kind() == ObstacleKind::Standoff);
        standoffs
            .map(|o| o.message().to_owned())
            .collect::<Vec<_>>()
    };
    let told = loop {
        let told = stuck().await;
        if told.len() == 2 {
            break told;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    };
    let both = told
        .iter()
        .all(|why| why.contains("`orders`") && why.contains("`stock`"));
    assert!(both, "{told:?}");
    engine.queue("stock").concurrency(2).await.unwrap();
    assert_eq!(order.wait().await.unwrap().output(), Some(&7));
    assert_eq!(stock.wait().await.unwrap().output(), Some(&7));
    worker.stop().await;
}

#[workflow(lock = "account:{}")]
async fn book_entry(ctx: ExecutionContext<u32>) -> u32 {
    *ctx.input()
}

#[workflow(lock = "account:{}")]
async fn close_month(ctx: ExecutionContext<u32>) -> Result<u32, TaskError> {
    book_entry.call(*ctx.input()).await
}

#[workflow(concurrency = 1, on_conflict = "queue")]
async fn count_down(ctx: ExecutionContext<u32>) -> Result<u32, TaskError> {
    match ctx.input() {
        0 => Ok(0),
        n => count_down.call(n - 1).await,
    }
}

/// The limit is in the code, and the child would be cancelled with its parent: it could never run.
#[tokio::test]
async fn a_child_that_needs_its_parents_lock_fails_at_once() {
    for shelf in Shelf::every_way().await {
        let engine = shelf.engine().await;
        let run = close_month.on(&engine).run(4).await.unwrap();
        let message = run.failure().unwrap().message();
        assert!(
            message.contains("it could never start: `lock:account:4`"),
            "{message}"
        );
        let run = count_down.on(&engine).run(2).await.unwrap();
        let message = run.failure().unwrap().message();
        assert!(message.contains("it could never start"), "{message}");
    }
}

#[workflow(lock = "account:{}")]
async fn close_and_leave_the_rest(ctx: ExecutionContext<u32>) -> u32 {
    let rest = book_entry.call(*ctx.input());
    let rest = rest.when_parent_ends(ChildPolicy::Abandon);
    let _ = flux::timeout(Duration::from_millis(1), rest).await;
    *ctx.input()
}

async fn until_done(engine: &Engine, parent: &ExecutionId) -> Execution {
    loop {
        let children = engine.list().children_of(parent).await.unwrap();
        if let Some(child) = children.into_iter().find(Execution::has_finished) {
            return child;
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

#[tokio::test]
async fn a_child_that_outlives_its_parent_has_the_lock_after_it() {
    for shelf in Shelf::each().await {
        let engine = shelf.engine().await;
        let run = close_and_leave_the_rest.on(&engine).run(5).await.unwrap();
        assert_eq!(run.output(), Some(&5));
        assert!(
            until_done(&engine, run.execution_id())
                .await
                .has_succeeded()
        );
    }
}

#[task]
async fn nap(millis: u64) {
    begin();
    tokio::time::sleep(Duration::from_millis(millis)).await;
}

#[workflow(queue = "pages")]
async fn print_page(_ctx: ExecutionContext<u32>) -> Result<(), TaskError> {
    nap(20).await
}

#[workflow]
async fn print_book(ctx: ExecutionContext<u32>) -> Result<(), TaskError> {
    tokio::try_join!(print_page.call(*ctx.input()), nap(300)).map(drop)
}

/// PITFALL: parents that waited for children of a queue kept a full worker's places for five seconds each.
#[tokio::test(start_paused = true)]
async fn parents_that_only_wait_make_room_in_a_full_worker() {
    let shelf = Shelf::memory();
    let engine = shelf.engine().await;
    let worker = engine.worker().concurrency(2).spawn();
    let began = Instant::now();
    let mut books = Vec::new();
    for n in 0..6 {
        let start = print_book.on(&engine).start(n).for_worker();
        books.push(start.execution_id(unique("book")).await.unwrap());
    }
    for book in books {
        assert!(book.wait().await.unwrap().has_succeeded());
    }
    // Two at a time, and their pages.
    assert!(
        began.elapsed() < Duration::from_secs(2),
        "{:?}",
        began.elapsed()
    );
    worker.stop().await;
}

#[workflow]
async fn nap_often(_ctx: ExecutionContext<u32>) -> Result<(), TaskError> {
    for _ in 0..20 {
        flux::sleep(Duration::from_millis(100)).await;
    }
    Ok(())
}

/// As long as nothing is ready for it, a full worker puts nothing to sleep.
#[tokio::test(start_paused = true)]
async fn a_full_worker_keeps_its_executions_in_memory_while_nothing_else_is_ready() {
    let shelf = Shelf::memory();
    let engine = shelf.engine().await;
    let worker = engine.worker().concurrency(2).spawn();
    let mut naps = Vec::new();
    for n in 0..2 {
        let start = nap_often.on(&engine).start(n).for_worker();
        naps.push(start.await.unwrap());
    }
    for nap in naps {
        assert!(nap.wait().await.unwrap().has_succeeded());
        // It was claimed once, to start.
        assert_eq!(shelf.row(nap.execution_id()).await.epoch.0, 2);
    }
    worker.stop().await;
}
