use std::rc::Rc;

use flux::ExecutionContext;

#[flux::workflow]
async fn count_all(ctx: ExecutionContext<Vec<u32>>) -> usize {
    let shared = Rc::new(ctx.input().clone());
    tokio::task::yield_now().await;
    shared.len()
}

fn main() {
    let _ = count_all;
}
