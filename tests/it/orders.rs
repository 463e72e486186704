//! An order: checked, paid and shipped side by side, finalized once.

use std::time::Duration;

use flux::{EventKind, ExecutionContext, TaskError, TaskStatus, task, workflow};
use serde::{Deserialize, Serialize};

use crate::support::{Shelf, When, begin, names, ran, started, unique};

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Item {
    id: String,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Order {
    id: String,
    items: Vec<Item>,
    total: i64,
    #[serde(default)]
    payment_fails: usize,
    #[serde(default)]
    is_terminal: bool,
}

impl Order {
    fn new(total: i64) -> Self {
        Self {
            id: "7".into(),
            items: vec![Item { id: "a".into() }],
            total,
            payment_fails: 0,
            is_terminal: false,
        }
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Done {
    transaction_id: String,
    shipping_id: String,
    status: String,
}

#[task(max_attempts = 2, backoff = "fixed(10ms)")]
async fn validate_order(order: Order) -> anyhow::Result<Order> {
    begin();
    if order.items.is_empty() || order.total <= 0 {
        let error = anyhow::anyhow!("Invalid order data");
        return Err(if order.is_terminal {
            flux::terminal(error).into()
        } else {
            error
        });
    }
    Ok(order)
}

#[task]
async fn check_inventory(order: Order) -> usize {
    begin();
    order.items.len()
}

#[task(max_attempts = 2, backoff = "fixed(10ms)")]
async fn process_payment(order: Order) -> Result<String, String> {
    if begin() <= order.payment_fails {
        return Err("the bank is closed".into());
    }
    tokio::time::sleep(Duration::from_millis(30)).await;
    Ok(format!("txn_{}", order.id))
}

#[task]
async fn arrange_shipping(order: Order, stock: usize) -> String {
    begin();
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert_eq!(stock, order.items.len());
    format!("ship_{}", order.id)
}

#[task]
async fn finalize_order(transaction_id: String, shipping_id: String) -> Done {
    begin();
    Done {
        transaction_id,
        shipping_id,
        status: "completed".into(),
    }
}

#[workflow(timeout = "30m", max_attempts = 1)]
async fn order_processing(ctx: ExecutionContext<Order>) -> Result<Done, TaskError> {
    let order = validate_order(ctx.input().clone()).await?;
    let stock = check_inventory(order.clone()).await?;
    let (paid, shipped) = tokio::try_join!(
        process_payment(order.clone()),
        arrange_shipping(order, stock)
    )?;
    finalize_order(paid, shipped).await
}

fn done() -> Done {
    Done {
        transaction_id: "txn_7".into(),
        shipping_id: "ship_7".into(),
        status: "completed".into(),
    }
}

/// AT-4, a good order.
#[tokio::test(start_paused = true)]
async fn payment_and_shipping_overlap_and_the_order_is_finalized_once() {
    for shelf in [Shelf::memory(), Shelf::memory().always_replay()] {
        let engine = shelf.engine().await;
        let run = order_processing
            .on(&engine)
            .run(Order::new(10))
            .await
            .unwrap();
        assert_eq!(run.output(), Some(&done()));
        let tasks = run.tasks().await.unwrap();
        let order: Vec<_> = tasks.iter().map(flux::TaskInfo::name).collect();
        assert_eq!(order.len(), 5);
        assert_eq!(order[..2], ["validate_order", "check_inventory"]);
        assert_eq!(order[4], "finalize_order");
        let find = |name: &str| tasks.iter().find(|task| task.name() == name).unwrap();
        let (paid, shipped, last) = (
            find("process_payment"),
            find("arrange_shipping"),
            find("finalize_order"),
        );
        assert!(
            paid.started_at() < shipped.finished_at().unwrap()
                && shipped.started_at() < paid.finished_at().unwrap()
        );
        assert!(
            last.started_at()
                >= paid
                    .finished_at()
                    .unwrap()
                    .max(shipped.finished_at().unwrap())
        );
        assert_eq!(ran(run.execution_id(), "finalize_order"), 1);
        assert_eq!(run.duration().as_millis(), 50);
        assert!(
            tasks
                .iter()
                .all(|task| task.status() == TaskStatus::Completed && task.attempts() == 1)
        );
    }
}

/// AT-4, bad orders.
#[tokio::test(start_paused = true)]
async fn an_invalid_order_fails_before_anything_else_is_asked_for() {
    for shelf in [Shelf::memory(), Shelf::memory().always_replay()] {
        let engine = shelf.engine().await;
        let empty = Order {
            items: Vec::new(),
            ..Order::new(10)
        };
        let terminal = Order {
            is_terminal: true,
            ..Order::new(0)
        };
        for (order, attempts) in [(empty, 2), (Order::new(0), 2), (terminal, 1)] {
            let run = order_processing.on(&engine).run(order).await.unwrap();
            assert!(run.has_failed());
            assert_eq!(run.attempt(), 1);
            let failure = run.failure().unwrap();
            assert!(
                failure.message().contains("Invalid order data"),
                "{failure}"
            );
            assert_eq!(failure.task(), Some("validate_order"));
            assert_eq!(failure.escaped()[0].attempts, attempts);
            let attempts = usize::try_from(attempts).unwrap();
            assert_eq!(
                started(run.execution_id()),
                vec!["validate_order"; attempts]
            );
            let tasks = run.tasks().await.unwrap();
            assert_eq!((tasks.len(), tasks[0].has_failed()), (1, true));
        }
    }
}

/// AT-4, a bank that is closed for a moment.
#[tokio::test(start_paused = true)]
async fn a_payment_that_fails_once_succeeds_at_its_second_attempt() {
    let shelf = Shelf::memory();
    let engine = shelf.engine().await;
    let order = Order {
        payment_fails: 1,
        ..Order::new(10)
    };
    let run = order_processing.on(&engine).run(order).await.unwrap();
    assert_eq!(run.output(), Some(&done()));
    assert_eq!(ran(run.execution_id(), "process_payment"), 2);
    assert_eq!(ran(run.execution_id(), "arrange_shipping"), 1);
}

/// AT-4, a payment that stays down: its sibling is cancelled, and runs again with it when the order is resumed.
#[tokio::test(start_paused = true)]
async fn a_payment_that_fails_for_good_cancels_the_shipping() {
    let shelf = Shelf::memory();
    let engine = shelf.engine().await;
    let order = Order {
        payment_fails: 2,
        ..Order::new(10)
    };
    let run = order_processing.on(&engine).run(order).await.unwrap();
    let id = run.execution_id();
    assert_eq!(run.failure().unwrap().task(), Some("process_payment"));
    let tasks = run.tasks().await.unwrap();
    let shipping = tasks
        .iter()
        .find(|task| task.name() == "arrange_shipping")
        .unwrap();
    assert_eq!(shipping.status(), TaskStatus::Cancelled);
    let run = order_processing.on(&engine).resume(id).await.unwrap();
    assert_eq!(run.output(), Some(&done()));
    assert_eq!(
        (
            ran(id, "process_payment"),
            ran(id, "arrange_shipping"),
            ran(id, "validate_order")
        ),
        (3, 2, 1)
    );
}

/// AT-4, a crash in shipping.
#[tokio::test(start_paused = true)]
async fn a_crash_in_shipping_after_the_payment_charges_nobody_twice() {
    for always in [false, true] {
        let shelf = if always {
            Shelf::memory().always_replay()
        } else {
            Shelf::memory()
        };
        let id = unique("order");
        let engine = shelf.engine().await;
        // Start, validated, checked, paid; the fifth would be shipped.
        shelf.stop_at(5, When::BeforeCommit);
        let run = order_processing
            .on(&engine)
            .run(Order::new(10))
            .execution_id(&id);
        assert!(shelf.crash(run).await.is_none());
        drop(engine);
        shelf.nobody_is_left().await;
        shelf.go_on();
        let engine = shelf.engine().await;
        let run = order_processing.on(&engine).resume(&id).await.unwrap();
        assert_eq!(run.output(), Some(&done()));
        assert_eq!(
            (
                ran(&id, "process_payment"),
                ran(&id, "arrange_shipping"),
                ran(&id, "finalize_order")
            ),
            (1, 2, 1)
        );
        let events = run.events().await.unwrap();
        assert_eq!(names(&events, EventKind::TaskStarted).len(), 5);
    }
}
