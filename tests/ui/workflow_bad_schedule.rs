use flux::ExecutionContext;

#[flux::workflow(schedule = "60 * * * *")]
async fn minute(_ctx: ExecutionContext) {}

#[flux::workflow(schedule("0 12 * * *", "0 0 12 * * *"), schedule = "0  12 * * *")]
async fn several(_ctx: ExecutionContext) {}

#[flux::workflow(schedule = ["0 9 * * 1 America/NewYork", "0 0 31 FEB *"])]
async fn zone(_ctx: ExecutionContext) {}

#[flux::workflow(schedule = "@every 5", cron = "0 12 * * *")]
async fn interval(_ctx: ExecutionContext) {}

#[flux::workflow(schedule = 5)]
async fn number(_ctx: ExecutionContext) {}

#[flux::workflow(schedule())]
async fn none(_ctx: ExecutionContext) {}

fn main() {}
