fn is_transient(error: &String) -> bool {
    error.is_empty()
}

#[flux::task(retry_if = is_transient)]
async fn charge(amount: u32) -> u32 {
    amount
}

#[flux::task(retry_if = is_transient)]
async fn notify() {}

fn main() {
    let _ = charge(1);
}
