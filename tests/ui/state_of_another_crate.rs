struct State<T>(T);

#[flux::task]
async fn save(state: State<u32>, text: String) -> usize {
    state.0 as usize + text.len()
}

fn main() {
    let _ = save(String::new());
}
