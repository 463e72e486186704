#[flux::task(max_attempt = 3)]
async fn charge(amount: u32) -> u32 {
    amount
}

#[flux::task(colour = "red")]
async fn paint() {}

fn main() {
    let _ = charge(1);
    let _ = paint();
}
