// All of them at once, so that nobody has to find them one by one.
#[flux::task(max_attempts = 0, timout = "30s", backoff = "soon")]
async fn charge<T: Copy>(amount: &T) -> T {
    *amount
}

fn main() {}
