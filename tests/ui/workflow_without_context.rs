#[flux::workflow]
async fn place_order() -> u32 {
    1
}

fn main() {}
