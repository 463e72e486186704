use flux::ExecutionContext;

struct Order;

#[flux::workflow]
async fn place_order(_ctx: ExecutionContext<Order>) -> u32 {
    1
}

fn main() {
    let _ = place_order;
}
