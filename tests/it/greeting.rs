//! Two tasks, a default input, six events.

use flux::{Engine, EventKind, ExecutionContext, TaskError, task, workflow};
use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Person {
    #[serde(default = "no_name")]
    name: String,
}

fn no_name() -> String {
    "no name".to_owned()
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Greeting {
    text: String,
    name_length: usize,
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
async fn greet_person(ctx: ExecutionContext<Person>) -> Result<Greeting, TaskError> {
    let name = ctx.input().name.clone();
    let hello = say_hello(name.clone()).await?;
    let name_length = count_characters(name).await?;
    let text = format!("{hello} Your name is {name_length} characters long");
    Ok(Greeting { text, name_length })
}

/// AT-12, the part of the library.
#[tokio::test]
async fn a_greeting_takes_a_default_name_and_six_events() {
    let engine = Engine::in_memory();
    let john: Person = serde_json::from_str(r#"{"name":"John"}"#).unwrap();
    let run = greet_person.on(&engine).run(john).await.unwrap();
    let greeting = run.output().unwrap();
    assert_eq!(greeting.text, "hello, John! Your name is 4 characters long");
    assert_eq!(greeting.name_length, 4);
    let kinds: Vec<_> = run
        .events()
        .await
        .unwrap()
        .iter()
        .map(|event| event.kind)
        .collect();
    let task = [EventKind::TaskStarted, EventKind::TaskCompleted];
    assert_eq!(kinds[0], EventKind::WorkflowStarted);
    assert_eq!(kinds[1..5], [task, task].concat());
    assert_eq!(kinds[5..], [EventKind::WorkflowCompleted]);

    let nobody: Person = serde_json::from_str("{}").unwrap();
    let run = greet_person.on(&engine).run(nobody).await.unwrap();
    assert!(run.output().unwrap().text.starts_with("hello, no name!"));
}
