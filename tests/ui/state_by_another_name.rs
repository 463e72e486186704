use flux::State as Db;

struct Pool;

#[flux::task]
async fn save(db: Db<Pool>, text: String) -> usize {
    let _ = db;
    text.len()
}

fn main() {}
