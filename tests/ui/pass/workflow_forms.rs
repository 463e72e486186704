//! The forms of a workflow, and its options.
use std::time::Duration;

use flux::__private::{WorkflowDef, WorkflowEntry};
use flux::{ExecutionContext, TaskError, Workflow, task, workflow};
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Order {
    total: u32,
}

#[derive(Debug, thiserror::Error)]
enum ShopError {
    #[error("a task failed")]
    Task(#[from] TaskError),
}

type Context = ExecutionContext<Order>;

#[task]
async fn double(total: u32) -> u32 {
    total * 2
}

/// Its documentation.
#[workflow]
pub async fn place_order(ctx: ExecutionContext<Order>) -> Result<u32, TaskError> {
    double(ctx.input().total).await
}

#[workflow(
    name = "orders.place",
    version = 3,
    accepts = 1..=3,
    timeout = "1h",
    deadline = "7d",
    max_attempts = 2,
    retry = "restart"
)]
async fn place_with_options(mut ctx: Context) -> Result<u32, ShopError> {
    ctx = ctx.clone();
    Ok(double(ctx.input().total).await?)
}

#[workflow(retry = "keep", max_attempts = "unlimited")]
async fn clean_up(_ctx: ExecutionContext) {}

#[workflow]
async fn forget(_: flux::ExecutionContext<()>) -> anyhow::Result<()> {
    Ok(())
}

fn types() -> (
    Workflow<Order, u32>,
    Workflow<Order, u32>,
    Workflow<(), ()>,
    Workflow<(), ()>,
) {
    (place_order, place_with_options, clean_up, forget)
}

fn definition(name: &str) -> &'static WorkflowDef {
    let mut entries = flux::__private::inventory::iter::<WorkflowEntry>.into_iter();
    entries.find(|entry| entry.0.name == name).unwrap().0
}

fn main() {
    let _ = types();

    let plain = definition("place_order");
    assert_eq!((plain.version, plain.accepts.clone()), (1, 1..=1));
    assert_eq!(
        (plain.options.max_attempts, plain.options.restart),
        (None, false)
    );

    let with_options = definition("orders.place");
    assert_eq!(
        (with_options.version, with_options.accepts.clone()),
        (3, 1..=3)
    );
    assert_eq!(with_options.options.timeout, Some(Duration::from_hours(1)));
    assert_eq!(
        with_options.options.deadline,
        Some(Duration::from_hours(7 * 24))
    );
    assert_eq!(
        (
            with_options.options.max_attempts,
            with_options.options.restart
        ),
        (Some(2), true)
    );

    let cleaning = definition("clean_up");
    assert_eq!(
        (cleaning.options.max_attempts, cleaning.options.restart),
        (Some(u32::MAX), false)
    );
}
