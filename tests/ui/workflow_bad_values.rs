use flux::ExecutionContext;

#[flux::workflow(name = "order-{id}")]
async fn placeholder(_ctx: ExecutionContext) {}

#[flux::workflow(retry = "again")]
async fn again(_ctx: ExecutionContext) {}

#[flux::workflow(retries = 2)]
async fn retries(_ctx: ExecutionContext) {}

#[flux::workflow(deadline = "7 suns")]
async fn deadline(_ctx: ExecutionContext) {}

fn main() {}
