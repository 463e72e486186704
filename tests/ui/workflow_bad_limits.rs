use flux::ExecutionContext;

#[flux::workflow(on_conflict = "queue")]
async fn no_limit(_ctx: ExecutionContext) {}

#[flux::workflow(concurrency = 0)]
async fn zero(_ctx: ExecutionContext) {}

#[flux::workflow(concurrency = 1, on_conflict = "terminate_running")]
async fn unknown(_ctx: ExecutionContext) {}

#[flux::workflow(concurrency = 1, lock = "user:{id}")]
async fn two_limits(_ctx: ExecutionContext<u32>) {}

#[flux::workflow(lock = "user:{id")]
async fn open_brace(_ctx: ExecutionContext<u32>) {}

#[flux::workflow(lock = "user:{id + 1}")]
async fn expression(_ctx: ExecutionContext<u32>) {}

#[flux::workflow(lock = "")]
async fn no_lock(_ctx: ExecutionContext) {}

#[flux::workflow(queue = "")]
async fn no_queue(_ctx: ExecutionContext) {}

#[flux::workflow(queue = "orders-{region}")]
async fn queues(_ctx: ExecutionContext) {}

#[flux::workflow(tags("billing", "", "billing"))]
async fn tags(_ctx: ExecutionContext) {}

#[flux::workflow(tags)]
async fn no_tags(_ctx: ExecutionContext) {}

fn main() {}
