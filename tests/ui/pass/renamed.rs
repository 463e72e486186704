//! The facade under another name.
use flux as durable;

#[durable::task(crate = durable)]
async fn charge(amount: u32) -> u32 {
    amount
}

#[durable::workflow(crate = durable)]
async fn place_order(ctx: durable::ExecutionContext<u32>) -> Result<u32, durable::TaskError> {
    durable::select! { amount = charge(*ctx.input()) => amount }
}

#[durable::durable(crate = durable)]
async fn helper() -> u32 {
    durable::select! { one = async { 1 } => one }
}

fn main() {
    let _ = (charge(1), place_order, helper());
}
