//! A step's body returns a `Result`, and says of which error.
use flux::{ExecutionContext, TaskError, workflow};

#[workflow]
async fn add_up(_ctx: ExecutionContext) -> Result<u32, TaskError> {
    let once = flux::step("once", async { Ok::<_, String>(5) }).await?;
    let often = flux::step("often", || async { anyhow::Ok(5) })
        .max_attempts(3)
        .await?;
    Ok(once + often)
}

fn main() {
    let _ = add_up;
}
