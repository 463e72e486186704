#[flux::task(cache = "1h", timeout = "30s")]
async fn look_up(key: String) -> String {
    key
}

fn main() {
    let _ = look_up(String::new());
}
