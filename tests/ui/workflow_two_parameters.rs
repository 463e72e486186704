use flux::ExecutionContext;

#[flux::workflow]
async fn place_order(_ctx: ExecutionContext<u32>, express: bool, note: String) -> u32 {
    let _ = (express, note);
    1
}

fn main() {}
