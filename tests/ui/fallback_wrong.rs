async fn other_output(_amount: u32) -> String {
    String::new()
}

async fn other_argument(_amount: String) -> u32 {
    1
}

#[flux::task(fallback = other_output)]
async fn first(amount: u32) -> u32 {
    amount
}

#[flux::task(fallback = other_argument)]
async fn second(amount: u32) -> u32 {
    amount
}

fn main() {}
