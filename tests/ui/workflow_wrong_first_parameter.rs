use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize)]
struct Order;

#[flux::workflow]
async fn place_order(order: Order) -> u32 {
    let _ = order;
    1
}

fn main() {
    let _ = place_order;
}
