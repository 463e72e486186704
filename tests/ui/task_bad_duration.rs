#[flux::task(timeout = "30 parsecs")]
async fn unit() {}

#[flux::task(timeout = "1.5s")]
async fn fraction() {}

#[flux::task(deadline = 30)]
async fn number() {}

#[flux::task(timeout = 30s)]
async fn quotes() {}

#[flux::task(timeout = "0s")]
async fn zero() {}

fn main() {}
