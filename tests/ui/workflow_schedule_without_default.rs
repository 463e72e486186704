use flux::ExecutionContext;

#[derive(serde::Serialize, serde::Deserialize)]
struct Order {
    total: u32,
}

#[flux::workflow(schedule = "@daily")]
async fn place_order(ctx: ExecutionContext<Order>) -> u32 {
    ctx.input().total
}

struct Opaque;

// One mistake, one error.
#[flux::workflow(schedule = "@daily")]
async fn look_into(_ctx: ExecutionContext<Opaque>) {}

fn main() {
    let _ = (place_order, look_into);
}
