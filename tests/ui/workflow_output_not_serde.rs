use flux::{ExecutionContext, TaskError};

struct Receipt;

#[flux::workflow]
async fn place_order(_ctx: ExecutionContext<u32>) -> Result<Receipt, TaskError> {
    Ok(Receipt)
}

fn main() {
    let _ = place_order;
}
