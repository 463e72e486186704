#[flux::task(max_attempts)]
async fn missing() {}

#[flux::task(max_attempts = "3")]
async fn quoted() {}

#[flux::task(max_attempts = -1)]
async fn negative() {}

#[flux::task(blocking = true)]
async fn flag() {}

#[flux::task(name = "")]
async fn empty() {}

#[flux::task(name = "a", name = "b")]
async fn twice() {}

#[flux::task("charge")]
async fn positional() {}

fn main() {}
