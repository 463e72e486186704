use flux::ExecutionContext;

#[flux::workflow(accepts = 1..=2)]
async fn unsaid(_ctx: ExecutionContext) {}

#[flux::workflow(version = 3, accepts = 1..=2)]
async fn left_out(_ctx: ExecutionContext) {}

#[flux::workflow(version = 3, accepts = 3..=1)]
async fn empty(_ctx: ExecutionContext) {}

#[flux::workflow(version = 3, accepts = 1..)]
async fn open(_ctx: ExecutionContext) {}

#[flux::workflow(version = 0)]
async fn zero(_ctx: ExecutionContext) {}

fn main() {}
