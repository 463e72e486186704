//! Two tasks and a workflow.
//!
//! ```text
//! cargo run --example hello -- Ada
//! ```
//!
//! A visitor comes in and is greeted. Both tasks are recorded in `./flux.db`; the workflow is ordinary code between
//! them.

use flux::{ExecutionContext, TaskError, task, workflow};
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize)]
struct Visitor {
    #[serde(default = "no_name")]
    name: String,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Greeting {
    message: String,
    name_length: usize,
}

fn no_name() -> String {
    "no name".to_owned()
}

#[task]
async fn say_hello(name: String) -> String {
    format!("hello, {name}!")
}

#[task]
async fn count_characters(name: String) -> usize {
    name.chars().count()
}

#[workflow]
async fn greet(ctx: ExecutionContext<Visitor>) -> Result<Greeting, TaskError> {
    let name = &ctx.input().name;
    let hello = say_hello(name.clone()).await?;
    let name_length = count_characters(name.clone()).await?;
    Ok(Greeting {
        message: format!("{hello} Your name is {name_length} characters long"),
        name_length,
    })
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let name = std::env::args().nth(1).unwrap_or_else(no_name);
    let run = greet.run(Visitor { name }).await?;
    println!("{run}");
    for task in run.tasks().await? {
        println!("  {} {:?}", task.name(), task.status());
    }
    println!("{:#?}", run.into_result()?);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use flux::Engine;

    #[tokio::test]
    async fn a_visitor_is_greeted_by_name() {
        let john = serde_json::from_str(r#"{"name":"John"}"#).unwrap();
        let run = greet.on(&Engine::in_memory()).run(john).await.unwrap();
        let expected = Greeting {
            message: "hello, John! Your name is 4 characters long".to_owned(),
            name_length: 4,
        };
        assert_eq!(run.output(), Some(&expected));
        // Start, two tasks with their results, end.
        assert_eq!(run.events().await.unwrap().len(), 6);
    }

    #[tokio::test]
    async fn a_visitor_without_a_name_is_greeted_all_the_same() {
        let nobody = serde_json::from_str("{}").unwrap();
        let run = greet.on(&Engine::in_memory()).run(nobody).await.unwrap();
        let message = &run.output().unwrap().message;
        assert!(message.starts_with("hello, no name!"), "{message}");
    }

    /// Outside a workflow a task is a plain async function.
    #[tokio::test]
    async fn a_task_is_tested_without_an_engine() {
        assert_eq!(count_characters("Zoë".to_owned()).await.unwrap(), 3);
    }
}
