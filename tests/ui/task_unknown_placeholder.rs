use flux::State;

#[flux::task(name = "process-{regoin}")]
async fn unknown(region: String, shard: u32) -> usize {
    region.len() + shard as usize
}

#[flux::task(name = "process-{db}")]
async fn injected(db: State<u32>) -> u32 {
    *db
}

#[flux::task(name = "process-{region")]
async fn open(region: String) -> usize {
    region.len()
}

#[flux::task(name = "process-{shards}")]
async fn not_display(shards: Vec<u32>) -> usize {
    shards.len()
}

fn main() {}
