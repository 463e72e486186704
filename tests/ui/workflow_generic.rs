use flux::ExecutionContext;

#[flux::workflow]
async fn place_order<T>(_ctx: ExecutionContext<T>) -> u32 {
    1
}

fn main() {}
