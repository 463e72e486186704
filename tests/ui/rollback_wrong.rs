async fn no_output(_amount: u32) {}

#[flux::task(rollback = no_output)]
async fn first(amount: u32) -> u32 {
    amount
}

async fn other_output(_amount: u32, _charged: Option<String>) {}

#[flux::task(rollback = other_output)]
async fn second(amount: u32) -> u32 {
    amount
}

async fn sure_of_output(_amount: u32, _charged: u32) {}

#[flux::task(rollback = sure_of_output)]
async fn third(amount: u32) -> u32 {
    amount
}

fn at_once(_amount: u32, _charged: Option<u32>) -> bool {
    true
}

#[flux::task(rollback = at_once)]
async fn fourth(amount: u32) -> u32 {
    amount
}

fn main() {}
