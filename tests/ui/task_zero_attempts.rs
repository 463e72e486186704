#[flux::task(max_attempts = 0)]
async fn charge(amount: u32) -> u32 {
    amount
}

fn main() {
    let _ = charge(1);
}
