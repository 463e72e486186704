use flux::State;

#[flux::task]
async fn save(db: &State<u32>, text: String) -> usize {
    **db as usize + text.len()
}

fn main() {}
