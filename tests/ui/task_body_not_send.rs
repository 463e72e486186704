use std::rc::Rc;

#[flux::task]
async fn count(numbers: Vec<u32>) -> usize {
    let shared = Rc::new(numbers);
    tokio::task::yield_now().await;
    shared.len()
}

fn main() {
    let _ = count(Vec::new());
}
