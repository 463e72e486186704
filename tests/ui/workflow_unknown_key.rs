use flux::ExecutionContext;

#[flux::workflow(versoin = 2)]
async fn place_order(_ctx: ExecutionContext<u32>) -> u32 {
    1
}

#[flux::workflow(secrets("API_KEY"))]
async fn clean_up(_ctx: ExecutionContext) {}

fn main() {
    let _ = (place_order, clean_up);
}
