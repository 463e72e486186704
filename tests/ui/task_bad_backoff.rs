#[flux::task(backoff = "exponential(100ms, 0.5)")]
async fn shrinking() {}

#[flux::task(backoff = "linear(1s)")]
async fn linear() {}

#[flux::task(backoff = "1s")]
async fn bare() {}

fn main() {}
