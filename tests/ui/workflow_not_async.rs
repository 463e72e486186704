use flux::ExecutionContext;

#[flux::workflow]
fn place_order(_ctx: ExecutionContext<u32>) -> u32 {
    1
}

fn main() {
    let _ = place_order;
}
