//! `run` takes the workflow's input.
use flux::{Engine, ExecutionContext, workflow};

#[workflow]
async fn greet(ctx: ExecutionContext<String>) -> String {
    ctx.input().to_uppercase()
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), flux::Error> {
    let run = greet.on(&Engine::in_memory()).run("ann".to_owned()).await?;
    assert_eq!(run.output().map(String::as_str), Some("ANN"));
    Ok(())
}
