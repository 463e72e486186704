//! A shop takes an order: check it, look into the stock, charge and ship at the same time, finish.
//!
//! ```text
//! cargo run --example order_processing
//! ```
//!
//! Five tasks around one `try_join!`. Bad orders fail before anything else is started; a payment service that is down
//! is tried again; a process that is killed while it ships does not charge a second time.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use flux::{Engine, ExecutionContext, State, TaskError, task, workflow};
use serde::{Deserialize, Serialize};

#[derive(Clone, Serialize, Deserialize)]
struct Order {
    id: String,
    items: Vec<Item>,
    total: u32,
}

#[derive(Clone, Serialize, Deserialize)]
struct Item {
    id: String,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct OrderResult {
    transaction_id: String,
    shipping_id: String,
    status: String,
}

/// The world outside: what bodies did, how long they take, how often the payment service is down. Injected.
#[derive(Default)]
struct Shop {
    done: Mutex<Vec<&'static str>>,
    latency: Duration,
    payment_outages: AtomicU32,
}

impl Shop {
    async fn work(&self, what: &'static str) {
        println!("  {what}");
        self.done
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(what);
        tokio::time::sleep(self.latency).await;
    }
}

#[task(max_attempts = 2, backoff = "fixed(50ms)")]
async fn validate_order(order: Order, shop: State<Arc<Shop>>) -> anyhow::Result<Order> {
    shop.work("validate_order").await;
    anyhow::ensure!(
        !order.items.is_empty() && order.total > 0,
        "Invalid order data"
    );
    Ok(order)
}

#[task]
async fn check_inventory(order: Order, shop: State<Arc<Shop>>) -> BTreeSet<String> {
    shop.work("check_inventory").await;
    order.items.into_iter().map(|item| item.id).collect()
}

#[task(max_attempts = 3, backoff = "fixed(50ms)", timeout = "30s")]
async fn process_payment(order: Order, shop: State<Arc<Shop>>) -> anyhow::Result<String> {
    shop.work("process_payment").await;
    let is_down = shop
        .payment_outages
        .fetch_update(SeqCst, SeqCst, |left| left.checked_sub(1))
        .is_ok();
    anyhow::ensure!(!is_down, "the payment service is down");
    Ok(format!("txn_{}", order.id))
}

#[task]
async fn arrange_shipping(
    order: Order,
    _stock: BTreeSet<String>,
    shop: State<Arc<Shop>>,
) -> String {
    shop.work("arrange_shipping").await;
    if std::env::var_os("SHIPPING_HANGS").is_some() {
        std::future::pending::<()>().await;
    }
    format!("ship_{}", order.id)
}

#[task]
async fn finalize_order(
    transaction_id: String,
    shipping_id: String,
    shop: State<Arc<Shop>>,
) -> OrderResult {
    shop.work("finalize_order").await;
    OrderResult {
        transaction_id,
        shipping_id,
        status: "completed".to_owned(),
    }
}

#[workflow(timeout = "30m", max_attempts = 1)]
async fn process_order(ctx: ExecutionContext<Order>) -> Result<OrderResult, TaskError> {
    let order = validate_order(ctx.input().clone()).await?;
    let stock = check_inventory(order.clone()).await?;
    let (paid, shipped) = tokio::try_join!(
        process_payment(order.clone()),
        arrange_shipping(order, stock)
    )?;
    finalize_order(paid, shipped).await
}

fn order(items: &[&str], total: u32) -> Order {
    Order {
        id: "7".to_owned(),
        items: items
            .iter()
            .map(|id| Item {
                id: (*id).to_owned(),
            })
            .collect(),
        total,
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let shop = Shop {
        latency: Duration::from_millis(100),
        payment_outages: AtomicU32::new(1),
        ..Shop::default()
    };
    let engine = Engine::builder()
        .in_memory()
        .state(Arc::new(shop))
        .build()
        .await?;
    println!("a good order, and a payment service that is down at first:");
    println!(
        "{:#?}",
        process_order
            .on(&engine)
            .run(order(&["a"], 10))
            .await?
            .into_result()?
    );
    println!("an order of nothing:");
    println!("{}", process_order.on(&engine).run(order(&[], 10)).await?);
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::process::{Command, Stdio};

    use flux::{EventKind, Execution};

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    impl Shop {
        fn done(&self) -> Vec<&'static str> {
            self.done.lock().unwrap().clone()
        }

        fn count(&self, what: &str) -> usize {
            self.done().iter().filter(|done| **done == what).count()
        }
    }

    async fn engine(shop: &Arc<Shop>) -> Engine {
        Engine::builder()
            .in_memory()
            .state(Arc::clone(shop))
            .build()
            .await
            .unwrap()
    }

    async fn run(shop: &Arc<Shop>, order: Order) -> Execution<OrderResult> {
        process_order
            .on(&engine(shop).await)
            .run(order)
            .await
            .unwrap()
    }

    #[track_caller]
    fn assert_completed(run: &Execution<OrderResult>) {
        let expected = OrderResult {
            transaction_id: "txn_7".to_owned(),
            shipping_id: "ship_7".to_owned(),
            status: "completed".to_owned(),
        };
        assert_eq!(run.output(), Some(&expected), "{run:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn payment_and_shipping_overlap_and_the_order_is_finished_once() {
        let shop = Arc::new(Shop {
            latency: SECOND,
            ..Shop::default()
        });
        let before = tokio::time::Instant::now();
        let run = run(&shop, order(&["a"], 10)).await;
        assert_completed(&run);
        // Five bodies of a second each, two of them at once.
        assert_eq!(before.elapsed().as_secs(), 4);
        let steps = [
            "validate_order",
            "check_inventory",
            "process_payment",
            "arrange_shipping",
            "finalize_order",
        ];
        assert_eq!(shop.done(), steps);
        assert_eq!(run.tasks().await.unwrap().len(), 5);
    }

    #[tokio::test(start_paused = true)]
    async fn a_bad_order_fails_before_anything_else_is_started() {
        for bad in [order(&[], 10), order(&["a"], 0)] {
            let shop = Arc::default();
            let run = run(&shop, bad).await;
            assert!(run.has_failed() && run.attempt() == 1, "{run:?}");
            let failure = run.failure().unwrap();
            assert_eq!(failure.task(), Some("validate_order"));
            assert!(
                failure.to_string().contains("Invalid order data"),
                "{failure}"
            );
            assert_eq!(shop.done(), ["validate_order"; 2]);
        }
    }

    /// The same check, with an error that says that a second try is of no use.
    #[task(max_attempts = 2)]
    async fn validate_for_good(order: Order, shop: State<Arc<Shop>>) -> anyhow::Result<Order> {
        shop.work("validate_for_good").await;
        if order.items.is_empty() {
            return Err(flux::terminal("Invalid order data").into());
        }
        Ok(order)
    }

    #[workflow]
    async fn validate_only(ctx: ExecutionContext<Order>) -> Result<(), TaskError> {
        validate_for_good(ctx.input().clone()).await.map(drop)
    }

    #[tokio::test(start_paused = true)]
    async fn a_terminal_error_is_tried_once() {
        let shop = Arc::default();
        let run = validate_only
            .on(&engine(&shop).await)
            .run(order(&[], 10))
            .await
            .unwrap();
        assert!(run.has_failed(), "{run:?}");
        assert_eq!(shop.done(), ["validate_for_good"]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_payment_service_that_is_down_once_is_tried_again() {
        let shop = Arc::new(Shop {
            payment_outages: AtomicU32::new(1),
            ..Shop::default()
        });
        let run = run(&shop, order(&["a"], 10)).await;
        assert_completed(&run);
        assert_eq!(
            (shop.count("process_payment"), shop.count("finalize_order")),
            (2, 1)
        );
    }

    const FILE: &str = "ORDER_PROCESSING_FILE";

    async fn open(file: &Path, shop: &Arc<Shop>) -> Engine {
        Engine::builder()
            .sqlite(file)
            .state(Arc::clone(shop))
            .build()
            .await
            .unwrap()
    }

    /// Not a test by itself: the process that the test below kills.
    #[tokio::test]
    async fn child() {
        if let Some(file) = std::env::var_os(FILE) {
            let engine = open(Path::new(&file), &Arc::default()).await;
            let run = process_order
                .on(&engine)
                .run(order(&["a"], 10))
                .execution_id("order-7");
            panic!("shipping hangs, and yet: {:?}", run.await);
        }
    }

    #[tokio::test]
    async fn a_process_killed_while_it_ships_does_not_charge_twice() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("orders.db");
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "tests::child", "--nocapture"])
            .env(FILE, &file)
            .env("SHIPPING_HANGS", "1")
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let shop = Arc::default();
        let engine = open(&file, &shop).await;
        while engine.get("order-7").await.is_err() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let mut events = engine.subscribe("order-7").await.unwrap();
        // Validated, in stock, paid: three results, and shipping does not end.
        for _ in 0..3 {
            events.wait_for(EventKind::TaskCompleted).await.unwrap();
        }
        child.kill().unwrap();
        let printed = String::from_utf8(child.wait_with_output().unwrap().stdout).unwrap();
        let before = |what| printed.lines().filter(|line| line.trim() == what).count();
        assert_eq!(
            (before("process_payment"), before("arrange_shipping")),
            (1, 1),
            "{printed}"
        );

        let run = process_order.on(&engine).resume("order-7").await.unwrap();
        assert_completed(&run);
        assert_eq!(shop.done(), ["arrange_shipping", "finalize_order"]);
    }
}
