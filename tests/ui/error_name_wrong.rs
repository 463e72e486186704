use flux::ExecutionContext;

#[derive(Debug)]
struct Declined;

impl std::fmt::Display for Declined {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("declined")
    }
}

#[flux::task(error = "payments.declined")]
async fn charge(amount: u32) -> Result<u32, Declined> {
    Ok(amount)
}

#[flux::task(error = "payments.declined")]
async fn count(amount: u32) -> u32 {
    amount
}

#[flux::task(error = "payments.declined")]
async fn notify() {}

#[flux::task(error = " ")]
async fn refund(amount: u32) -> Result<u32, String> {
    Ok(amount)
}

#[flux::workflow(error = Declined)]
async fn place_order(_ctx: ExecutionContext) -> Result<u32, String> {
    Ok(1)
}

#[flux::workflow(error = "orders.refused")]
async fn count_orders(_ctx: ExecutionContext) -> (u32, u32) {
    (1, 2)
}

fn main() {
    let _ = charge(1);
}
