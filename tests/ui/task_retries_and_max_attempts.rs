#[flux::task(max_attempts = 3, retries = 2)]
async fn charge(amount: u32) -> u32 {
    amount
}

fn main() {
    let _ = charge(1);
}
