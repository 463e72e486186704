use std::borrow::Cow;

#[flux::task]
async fn text(text: &str) -> usize {
    text.len()
}

#[flux::task]
async fn bytes(bytes: &[u8]) -> usize {
    bytes.len()
}

#[flux::task]
async fn list(names: Vec<&str>) -> usize {
    names.len()
}

#[flux::task]
async fn cow(text: Cow<'_, str>) -> usize {
    text.len()
}

#[flux::task]
async fn constant() -> &'static str {
    "constant"
}

fn main() {}
