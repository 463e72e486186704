use flux::ExecutionContext;

#[flux::workflow]
async fn greet(ctx: ExecutionContext<String>) -> String {
    ctx.input().clone()
}

fn main() {
    let _ = greet.run(42);
}
