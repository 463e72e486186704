#[flux::task]
async fn save<T>(value: T) -> u32 {
    let _ = value;
    1
}

#[flux::task]
async fn show(value: impl std::fmt::Display) -> String {
    value.to_string()
}

#[flux::task]
async fn list() -> impl Iterator<Item = u32> {
    0..3
}

fn main() {}
