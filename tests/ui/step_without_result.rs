use flux::{ExecutionContext, TaskError};

#[flux::workflow]
async fn add_up(_ctx: ExecutionContext) -> Result<u32, TaskError> {
    flux::step("add", async { 5 }).await
}

fn main() {}
