// A mistake in a body is shown where it is, once.
use flux::ExecutionContext;

#[flux::task]
async fn charge(amount: u32) -> Result<u32, String> {
    let text: String = amount;
    text.parse().map_err(|_| text)
}

#[flux::workflow]
async fn place_order(_ctx: ExecutionContext<u32>) -> Result<u32, flux::TaskError> {
    charge("much").await
}

fn main() {}
