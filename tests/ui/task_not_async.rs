#[flux::task]
fn shrink(image: Vec<u8>) -> Vec<u8> {
    image
}

fn main() {
    let _ = shrink(Vec::new());
}
