//! In a workflow, and in a `#[durable]` helper, every `select!` takes the first branch that is ready.
use std::future::ready;

use flux::{ExecutionContext, durable, workflow};

#[durable]
async fn helper() -> u32 {
    let mut firsts = 0;
    for _ in 0..100 {
        firsts += tokio::select! { _ = ready(()) => 1, _ = ready(()) => 0 };
        firsts += tokio::join!(async {
            flux::select! { _ = ready(()) => 1, _ = ready(()) => 0 }
        })
        .0;
        firsts += futures::select! { _ = futures::future::ready(()) => 1, _ = futures::future::ready(()) => 0 };
    }
    firsts
}

struct Shop;

impl Shop {
    #[durable]
    async fn helper(&self, branches: &[u32]) -> u32 {
        use tokio::select;
        let mut first = true;
        for _ in 0..100 {
            first &= select! { _ = ready(()) => true, _ = ready(()) => false };
            first &= select! { biased; _ = ready(()) => true, _ = ready(()) => false };
        }
        if first { branches[0] } else { branches[1] }
    }
}

#[workflow]
async fn race(_ctx: ExecutionContext) -> u32 {
    let mut firsts = 0;
    for _ in 0..100 {
        firsts += tokio::select! { _ = ready(()) => 1, _ = ready(()) => 0 };
    }
    firsts
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    assert_eq!(helper().await, 300);
    assert_eq!(Shop.helper(&[1, 2]).await, 1);
    let run = race.on(&flux::Engine::in_memory()).run(()).await.unwrap();
    assert_eq!(run.output(), Some(&100));
}
