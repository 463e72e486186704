//! The payload limit, and the words of errors.

use flux::{Engine, Error, EventKind, ExecutionContext, TaskError, task, workflow};

use crate::support::{Shelf, begin, count, ran};

#[task]
async fn repeat(word: String, times: usize) -> String {
    begin();
    word.repeat(times)
}

#[workflow]
async fn repeat_word(ctx: ExecutionContext<(String, usize)>) -> Result<usize, TaskError> {
    let (word, times) = ctx.input().clone();
    Ok(repeat(word, times).await?.len())
}

#[workflow]
async fn repeat_input(_ctx: ExecutionContext<usize>) -> Result<usize, TaskError> {
    Ok(repeat("x".repeat(*_ctx.input()), 1).await?.len())
}

#[workflow]
async fn return_much(ctx: ExecutionContext<usize>) -> String {
    "x".repeat(*ctx.input())
}

#[workflow]
async fn await_word(_ctx: ExecutionContext) -> String {
    let word = flux::signal::<String>("word").await;
    word + &flux::pause("more").value::<String>().await
}

async fn small() -> Engine {
    Shelf::memory()
        .builder()
        .payload_limit(1000)
        .build()
        .await
        .unwrap()
}

#[tokio::test]
async fn a_value_beyond_the_limit_names_its_call_and_its_size() {
    let engine = small().await;
    let long = "x".repeat(1000);
    // The input of a workflow: nothing is started.
    let error = repeat_word
        .on(&engine)
        .run((long.clone(), 1))
        .await
        .unwrap_err();
    let Error::PayloadTooLarge { size, limit, .. } = error else {
        panic!("{error}")
    };
    assert_eq!((size, limit), (1006, 1000));
    assert!(
        error.to_string().contains("`repeat_word`") && error.to_string().contains("payload_limit"),
        "{error}"
    );
    assert!(engine.list().await.unwrap().is_empty());

    // The output of a task, and its input.
    let run = repeat_word
        .on(&engine)
        .run(("x".into(), 1000))
        .await
        .unwrap();
    let message = run.failure().unwrap().message().to_owned();
    assert!(
        message.contains("`repeat`") && message.contains("1002") && message.contains("1000"),
        "{message}"
    );
    let run = repeat_input.on(&engine).run(1000).await.unwrap();
    let message = run.failure().unwrap().message().to_owned();
    assert!(
        message.contains("`repeat`") && message.contains("input") && message.contains("1006"),
        "{message}"
    );
    assert_eq!(ran(run.execution_id(), "repeat"), 0);
    let run = return_much.on(&engine).run(1000).await.unwrap();
    assert!(
        run.failure()
            .unwrap()
            .message()
            .contains("output takes 1002 bytes"),
        "{run}"
    );

    // A signal, and an answer.
    let handle = await_word.on(&engine).start(()).await.unwrap();
    let error = handle.signal("word", &long).await.unwrap_err();
    assert!(
        matches!(error, Error::PayloadTooLarge { .. }) && error.to_string().contains("`word`"),
        "{error}"
    );
    handle.signal("word", "short").await.unwrap();
    let run = handle.wait().await.unwrap();
    let error = await_word
        .on(&engine)
        .resume(run.execution_id())
        .with(&long)
        .await
        .unwrap_err();
    assert!(matches!(error, Error::PayloadTooLarge { .. }), "{error}");
    let run = await_word
        .on(&engine)
        .resume(run.execution_id())
        .with("er")
        .await
        .unwrap();
    assert_eq!(run.output().unwrap(), "shorter");
    assert_eq!(
        count(&engine, run.execution_id(), EventKind::SignalReceived).await,
        1
    );
}

#[tokio::test]
async fn megabytes_pass_the_default_limit() {
    let shelf = Shelf::sqlite().await;
    let engine = shelf.engine().await;
    let run = repeat_word
        .on(&engine)
        .run(("x".into(), 2_000_000))
        .await
        .unwrap();
    assert_eq!(run.output(), Some(&2_000_000));
    let run = repeat_word
        .on(&engine)
        .run(("x".into(), 8_400_000))
        .await
        .unwrap();
    assert!(
        run.failure().unwrap().message().contains("8388608"),
        "{run}"
    );
}

#[tokio::test]
async fn an_input_that_cannot_be_read_again_is_refused_with_its_path() {
    let engine = Shelf::memory().engine().await;
    let error = take_floats
        .on(&engine)
        .run(vec![1.0, f64::NAN])
        .await
        .unwrap_err();
    let Error::InvalidInput { path, what, .. } = &error else {
        panic!("{error}")
    };
    assert_eq!(
        (&**path, &**what),
        ("[1]", "input of workflow `take_floats`")
    );
    assert!(engine.list().await.unwrap().is_empty());
}

#[workflow]
async fn take_floats(ctx: ExecutionContext<Vec<f64>>) -> f64 {
    ctx.input().iter().sum()
}

#[workflow]
async fn return_nan(_ctx: ExecutionContext) -> f64 {
    f64::NAN
}

#[tokio::test]
async fn an_output_that_cannot_be_read_again_fails_the_execution() {
    let engine = Shelf::memory().engine().await;
    let run = return_nan.on(&engine).run(()).await.unwrap();
    assert!(run.has_failed(), "{run:?}");
    assert!(
        run.failure()
            .unwrap()
            .message()
            .contains("cannot be recorded"),
        "{run}"
    );
}

#[test]
fn an_error_says_what_and_the_cure_in_one_line() {
    let id = || "order-42".into();
    let errors = [
        (
            Error::AlreadyRunning {
                id: id(),
                by: "process 7".into(),
            },
            "order-42` is already running: it is driven by process 7",
        ),
        (
            Error::LimitReached {
                id: id(),
                workflow: "ship".into(),
                holder: "order-41".into(),
            },
            "leaves no place for execution `order-42`: execution `order-41` has it",
        ),
        (
            Error::WorkflowNotFound {
                name: "pay".into(),
                available: vec!["ship".into()],
                described: vec![],
            },
            "registered are `ship`",
        ),
        (
            Error::WorkflowNotFound {
                name: "pay".into(),
                available: vec![],
                described: vec![],
            },
            "use my_flows as _",
        ),
        (
            Error::AmbiguousPause {
                id: id(),
                names: vec!["a".into(), "b".into()],
            },
            "`a`, `b`; say which with `.at(name)`",
        ),
        (
            Error::AlreadyFinished {
                id: id(),
                status: flux::Status::Cancelled,
            },
            "it is Cancelled",
        ),
    ];
    for (error, words) in errors {
        let text = error.to_string();
        assert!(text.contains(words), "{text}");
        assert!(!text.contains('\n') && !text.ends_with('.'), "{text}");
        assert!(text.starts_with(char::is_lowercase), "{text}");
    }
}
