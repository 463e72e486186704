//! Flux makes ordinary async functions survive crashes: what a workflow awaits is recorded, and after a pause, a failure,
//! a deploy or a `kill -9` the same execution, run again by its id, goes on where it stopped.
//!
//! ```
//! use flux::{Engine, ExecutionContext, TaskError, task, workflow};
//!
//! #[task(max_attempts = 3, timeout = "30s")]
//! async fn render(page: u32) -> Result<String, String> {
//!     Ok(format!("page {page}"))
//! }
//!
//! #[workflow]
//! async fn publish_book(ctx: ExecutionContext<u32>) -> Result<Vec<String>, TaskError> {
//!     let mut pages = Vec::new();
//!     for page in 1..=*ctx.input() {
//!         pages.push(render(page).await?); // recorded once, whatever crashes later
//!     }
//!     flux::pause("proofread").await; // control goes back to whoever ran it
//!     Ok(pages)
//! }
//!
//! #[tokio::main]
//! async fn main() -> Result<(), Box<dyn std::error::Error>> {
//!     let engine = Engine::in_memory(); // or `Engine::open("books.db").await?`
//!     let run = publish_book.on(&engine).run(2).await?;
//!     assert_eq!(run.pause_point(), Some("proofread"));
//!
//!     let run = publish_book.on(&engine).resume(run.execution_id()).await?;
//!     assert_eq!(run.into_result()?, ["page 1", "page 2"]);
//!     Ok(())
//! }
//! ```
//!
//! Without `.on(&engine)` a workflow uses the engine of the process, whose store is the one that `$FLUX_STORE` names, else the
//! nearest `flux.toml`, else `./flux.db` ([`DefaultStore`]); the command line looks in the same places. In the body of a task it
//! uses the engine that runs the body.
//! A workflow becomes a `static` of the function's name, which no variable of its module can then have: name workflows by
//! verbs.
//!
//! # The five types
//!
//! | type | is |
//! |---|---|
//! | [`Workflow`] | what a [`#[workflow]`](macro@workflow) function becomes: `run`, `start`, `resume`, `get`, `call` |
//! | [`TaskCall`] | what calling a [`#[task]`](macro@task) gives: a lazy future of `Result<T, TaskError>` |
//! | [`ExecutionContext`] | a workflow's first and only parameter: its input, id, attempt and injected state |
//! | [`Execution`] | one run as it was at a moment: status, output, failure, pause points, history |
//! | [`Engine`] | what drives executions: a store, the registered workflows, injected state |
//!
//! Durable operations are free functions, named like their tokio twins: [`sleep`], [`sleep_until`], [`sleep_until_cron`],
//! [`timeout`], [`pause`], [`signal`], [`step`], [`now`], [`uuid`], [`random`], [`publish`], [`patched`], [`cancelled`],
//! [`roll_back`].
//!
//! # What Flux does, and does not
//!
//! It **does** record each result once, before anything that depends on it can touch the world; give every replay the values,
//! the order and the winners of races that the live run saw; keep attempts, backoffs, timers and signals over a crash; let one
//! process at a time drive an execution; and notice code that no longer fits a history.
//!
//! It does **not** run bodies exactly once: a crash between an effect and its record runs the body again, and
//! [three tools](guide::delivery) deal with that. It does not make workflow code deterministic:
//! [what it may do](guide::determinism) is up to you. It does not hide what is recorded: the file is readable JSON.
//!
//! | more on | page |
//! |---|---|
//! | what a workflow may do, races, values | [`guide::determinism`] |
//! | what happens once and what may happen twice | [`guide::delivery`] |
//! | attempts, limits, fallbacks, resuming what failed | [`guide::retries`] |
//! | changing code that has executions in flight | [`guide::upgrades`] |
//! | ending early, undoing, cleaning up | [`guide::cancellation`] |
//! | workers, sleeping, queues, limits, stopping in order | [`guide::workers`] |
//! | seeing and steering executions from a terminal, or a script | [`guide::cli`] |
//! | asking the file with plain SQL | [`guide::sql`] |
//!
//! # Cookbook
//!
//! **Run things at once.** Every combinator works as it is.
//!
//! ```
//! # use flux::{ExecutionContext, TaskError, task, workflow};
//! use futures::{StreamExt, TryStreamExt, stream};
//!
//! #[task]
//! async fn resize(image: u32) -> u32 {
//!     image / 2
//! }
//!
//! #[workflow]
//! async fn resize_all(ctx: ExecutionContext<Vec<u32>>) -> Result<Vec<u32>, TaskError> {
//!     let (first, second) = tokio::try_join!(resize(2), resize(4))?;
//!     let calls = stream::iter(ctx.input().clone()).map(resize);
//!     let mut all: Vec<u32> = calls.buffered(5).try_collect().await?; // five at once, in order
//!     all.extend([first, second]);
//!     Ok(all)
//! }
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), flux::Error> {
//! # let run = resize_all.on(&flux::Engine::in_memory()).run(vec![10, 20]).await?;
//! # assert_eq!(run.output().unwrap(), &[5, 10, 1, 2]);
//! # Ok(()) }
//! ```
//!
//! **Ask a person**, and take the answer with its type. A value of another type is refused, and the execution stays paused.
//!
//! ```
//! # use flux::{Engine, ExecutionContext, workflow};
//! #[workflow]
//! async fn grant_leave(ctx: ExecutionContext<u32>) -> u32 {
//!     let days = flux::pause("approve").value::<u32>().await;
//!     days.min(*ctx.input())
//! }
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), flux::Error> {
//! # let engine = Engine::in_memory();
//! let run = grant_leave.on(&engine).run(10).await?;
//! let id = run.execution_id();
//! assert!(grant_leave.on(&engine).resume(id).with("many").await.is_err());
//! // `at` makes a repeated resume harmless: it never answers the next pause.
//! let run = grant_leave.on(&engine).resume(id).with(&5).at("approve").await?;
//! assert_eq!(run.output(), Some(&5));
//! # Ok(()) }
//! ```
//!
//! **Wait for an event, but not for ever.** Signals queue up by name; a sleeping execution costs one row.
//!
//! ```
//! # use flux::{Engine, ExecutionContext, workflow};
//! use flux::time::hours;
//!
//! #[workflow]
//! async fn await_payment(_ctx: ExecutionContext) -> String {
//!     match flux::timeout(hours(48), flux::signal::<u32>("paid")).await {
//!         Ok(cents) => format!("{cents} cents came in"),
//!         Err(_elapsed) => "reminder sent".to_owned(),
//!     }
//! }
//! # #[tokio::main(flavor = "current_thread", start_paused = true)] async fn main() -> Result<(), flux::Error> {
//! # let engine = Engine::in_memory();
//! let handle = await_payment.on(&engine).start(()).await?; // goes on by itself
//! engine.signal(handle.execution_id(), "paid", &500).await?; // from this process or another
//! assert_eq!(handle.wait().await?.output().unwrap(), "500 cents came in");
//!
//! let silent = await_payment.on(&engine).run(()).await?;
//! assert_eq!(silent.output().unwrap(), "reminder sent");
//! # Ok(()) }
//! ```
//!
//! **Start once**, however often the request comes in: name the execution after what it is about.
//!
//! ```
//! # use flux::{Engine, Error, ExecutionContext, workflow};
//! #[workflow]
//! async fn open_account(ctx: ExecutionContext<String>) -> String {
//!     format!("account of {}", ctx.input())
//! }
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), flux::Error> {
//! # let engine = Engine::in_memory();
//! let open = |name: &str| open_account.on(&engine).run(name.to_owned()).execution_id("account-7");
//! let (first, again) = (open("Ada").await?, open("Ada").await?);
//! assert_eq!(first.execution_id(), again.execution_id()); // one execution
//! assert_eq!(engine.list().await?.len(), 1);
//! assert!(matches!(open("Bob").await, Err(Error::InputMismatch { .. })));
//! # Ok(()) }
//! ```
//!
//! **Keep things going**: a worker takes over what crashed, wakes what sleeps, works off queues and fires schedules. A service runs
//! one beside its other work; [`guide::workers`] has the rest.
//!
//! ```
//! # use flux::{Engine, ExecutionContext, workflow};
//! #[workflow(queue = "letters")]
//! async fn post_letter(ctx: ExecutionContext<String>) -> String {
//!     format!("dear {}", ctx.input())
//! }
//!
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), flux::Error> {
//! # let engine = Engine::in_memory();
//! engine.queue("letters").concurrency(10).rate("100/min").await?; // for all processes together
//! let worker = engine.worker().concurrency(64).spawn(); // or .run_until(flux::shutdown_signal())
//! let letter = post_letter.on(&engine).start("Ada".to_owned()).priority(5).await?;
//! assert_eq!(letter.wait().await?.output().unwrap(), "dear Ada");
//! worker.stop().await; // in order: bodies finish, everything is given up at once
//! # Ok(()) }
//! ```
//!
//! **Start things by the clock**, once per moment however many workers there are.
//!
//! ```
//! # use flux::{Engine, ExecutionContext, Overlap, workflow};
//! #[workflow(schedule = "0 6 * * MON-FRI Europe/Berlin")]
//! async fn bake_bread(_ctx: ExecutionContext) {}
//!
//! #[workflow]
//! async fn write_report(ctx: ExecutionContext<String>) -> String {
//!     format!("{} as of {:?}", ctx.input(), ctx.scheduled_at())
//! }
//!
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), flux::Error> {
//! # let engine = Engine::in_memory();
//! let nightly = engine.schedule("nightly", write_report, "sales".to_owned());
//! let nightly = nightly.cron("0 3 * * *").zone("America/New_York").overlap(Overlap::Skip).await?;
//! println!("{nightly}; then {:?}", nightly.preview(3));
//! nightly.trigger().await?; // now, beside its moments
//! # Ok(()) }
//! ```
//!
//! **Go on after a crash without a worker**: when the program starts, take up what the last process left. `recover` returns when all
//! of it has finished or paused, which takes as long as its timers and signals do.
//!
//! ```
//! # use flux::Engine;
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), flux::Error> {
//! # let engine = Engine::in_memory();
//! let recovered = engine.recover().await?; // answers no pause, tries nothing again that failed
//! for execution in &recovered.executions {
//!     println!("{execution}");
//! }
//! assert!(recovered.failures.is_empty());
//! # Ok(()) }
//! ```
//!
//! **Inject dependencies.** A `State<T>` parameter comes from the engine, is no part of the call and is not recorded.
//!
//! ```standalone_crate
//! # use flux::{Engine, ExecutionContext, State, TaskError, task, workflow};
//! struct Mailer { from: String }
//!
//! #[task]
//! async fn send_mail(to: String, mailer: State<Mailer>) -> String {
//!     format!("{} -> {to}", mailer.from)
//! }
//!
//! #[workflow]
//! async fn invite(ctx: ExecutionContext<String>) -> Result<String, TaskError> {
//!     send_mail(ctx.input().clone()).await
//! }
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let mailer = || Mailer { from: "shop".to_owned() };
//! let engine = Engine::builder().in_memory().state(mailer()).build().await?; // checks that nothing is missing
//! let run = invite.on(&engine).run("ada".to_owned()).await?;
//! assert_eq!(run.output().unwrap(), "shop -> ada");
//!
//! // Outside a workflow a task is a plain async function: that is how it is unit-tested.
//! assert_eq!(send_mail("bob".to_owned()).with_state(mailer()).await?, "shop -> bob");
//! # Ok(()) }
//! ```
//!
//! **Test it.** A plain call of a task runs its body once: no further attempts, no limits of time, and
//! [`task_context`] is `None`. A workflow is tested on an engine in memory; on tokio's paused clock (its feature
//! `test-util`) timers, backoffs and timeouts take no time. `always_replay(true)` finds code that is not deterministic.
//!
//! ```
//! # use flux::{Engine, ExecutionContext, TaskError, task, workflow};
//! use flux::time::days;
//!
//! #[task]
//! async fn remind(name: String) -> String {
//!     format!("{name}, please pay")
//! }
//!
//! #[workflow]
//! async fn chase_debt(ctx: ExecutionContext<String>) -> Result<String, TaskError> {
//!     match flux::timeout(days(30), flux::signal::<u32>("paid")).await {
//!         Ok(cents) => Ok(format!("{cents} cents came in")),
//!         Err(_elapsed) => remind(ctx.input().clone()).await,
//!     }
//! }
//!
//! // In your tests: #[tokio::test(start_paused = true)]
//! # #[tokio::main(flavor = "current_thread", start_paused = true)]
//! async fn a_month_of_silence_brings_a_reminder() -> Result<(), flux::Error> {
//!     assert_eq!(remind("Ada".to_owned()).await.unwrap(), "Ada, please pay");
//!
//!     let engine = Engine::builder().in_memory().always_replay(true).build().await?;
//!     let run = chase_debt.on(&engine).run("Ada".to_owned()).await?;
//!     assert_eq!(run.output().unwrap(), "Ada, please pay");
//!     assert!(run.duration() >= days(30));
//!     Ok(())
//! }
//! # fn main() -> Result<(), flux::Error> { a_month_of_silence_brings_a_reminder() }
//! ```
//!
//! **Call a workflow from another**: a child execution, with an id and a history of its own.
//!
//! ```
//! # use flux::{Engine, ExecutionContext, TaskError, workflow};
//! #[workflow]
//! async fn bake_layer(ctx: ExecutionContext<u32>) -> String {
//!     format!("layer {}", ctx.input())
//! }
//!
//! #[workflow]
//! async fn bake_cake(_ctx: ExecutionContext) -> Result<String, TaskError> {
//!     let (bottom, top) = tokio::try_join!(bake_layer.call(1), bake_layer.call(2))?;
//!     Ok(format!("{bottom}, {top}"))
//! }
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), flux::Error> {
//! # let engine = Engine::in_memory();
//! let run = bake_cake.on(&engine).run(()).await?;
//! assert_eq!(run.output().unwrap(), "layer 1, layer 2");
//! assert_eq!(engine.list().children_of(run.execution_id()).await?.len(), 2);
//! # Ok(()) }
//! ```
//!
//! **Show progress**, and look at what happened.
//!
//! ```
//! # use flux::{Engine, ExecutionContext, Status, TaskError, task, workflow};
//! # #[task] async fn copy_file(_n: u32) {}
//! #[workflow]
//! async fn copy_files(ctx: ExecutionContext<u32>) -> Result<(), TaskError> {
//!     for n in 1..=*ctx.input() {
//!         copy_file(n).await?;
//!         flux::publish("copied", &n); // costs no commit of its own
//!     }
//!     Ok(())
//! }
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), flux::Error> {
//! # let engine = Engine::in_memory();
//! let run = copy_files.on(&engine).run(3).await?;
//! assert_eq!(engine.published::<u32>(run.execution_id(), "copied").await?, Some(3));
//! assert_eq!(run.tasks().await?.len(), 3);
//! for event in run.events().await? {
//!     println!("{} {} {}", event.seq, event.at, event.kind);
//! }
//! let done = engine.list().workflow("copy_files").status(Status::Completed).limit(10).await?;
//! assert_eq!(done.len(), 1);
//! # Ok(()) }
//! ```
//!
//! **Go on for ever** without a history that does.
//!
//! ```
//! # use flux::{Engine, ExecutionContext, workflow};
//! #[workflow]
//! async fn water_plants(ctx: ExecutionContext<u32>) -> u32 {
//!     if *ctx.input() < 3 {
//!         flux::sleep(flux::time::days(1)).await;
//!         ctx.continue_as_new(ctx.input() + 1).await;
//!     }
//!     *ctx.input()
//! }
//! # #[tokio::main(flavor = "current_thread", start_paused = true)] async fn main() -> Result<(), flux::Error> {
//! let run = water_plants.on(&Engine::in_memory()).run(0).await?; // tokio's paused clock: no time passes
//! assert_eq!(run.output(), Some(&3));
//! # Ok(()) }
//! ```
//!
//! **End it early**: `handle.cancel()` lets the code clean up, `handle.terminate(reason)` does not.
//!
//! ```
//! # use flux::{Engine, ExecutionContext, TaskError, task, workflow};
//! #[task(rollback = give_back)]
//! async fn reserve(room: u32) -> String {
//!     format!("room {room}")
//! }
//!
//! #[task]
//! async fn give_back(_room: u32, _reserved: Option<String>) {}
//!
//! #[workflow]
//! async fn hold_room(_ctx: ExecutionContext) -> Result<(), TaskError> {
//!     reserve(7).await?;
//!     flux::pause("paid").await;
//!     Ok(())
//! }
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), flux::Error> {
//! # let engine = Engine::in_memory();
//! let run = hold_room.on(&engine).run(()).await?;
//! engine.cancel(run.execution_id()).await?; // taken up by this engine, though it is paused
//! # let mut events = engine.subscribe(run.execution_id()).await?;
//! # while events.next().await.is_some() {}
//! # let run = engine.get(run.execution_id()).await?;
//! # assert!(run.is_cancelled());
//! # assert_eq!(run.tasks().await?[1].name(), "give_back");
//! # Ok(()) }
//! ```
//!
//! **Serve it**: `examples/service.rs` is a service with HTTP, a worker and the command line in one program, which may be restarted
//! at any time.
//!
//! **Undo what was done** when a later step fails: `examples/saga.rs`. **Write your own tables exactly once**:
//! [`sqlite::transaction`] and `examples/transactional_transfer.rs`.
//!
//! # Errors
//!
//! | type | says |
//! |---|---|
//! | [`TaskError`] | a call failed: which task, how often it was tried, why; [`downcast`](TaskError::downcast) has the body's own error back if its type is `Serialize` and `Deserialize` |
//! | [`Failure`] | an execution failed: `execution.failure()`. That is no `Err` of `run` |
//! | [`NotCompleted`] | `into_result()` of an execution that has no output: it failed, or is paused |
//! | [`Error`] | Flux itself could not do what was asked; the execution is as it was |
//!
//! A pause, a crash or a full disk never reaches workflow code as an error: its future is not polled again.
//!
//! Each of them is made for people in its `Display` form. A `main` that returns an error shows the `Debug` form instead: print
//! it yourself, or return it through `anyhow`.
//!
//! # Logs
//!
//! Flux logs with [`tracing`](https://docs.rs/tracing): a span `execution` around workflow code, warnings where something has to
//! be looked at, failed attempts at level `debug`. Without a subscriber nothing of it is seen.
//!
//! # Features
//!
//! | feature | gives |
//! |---|---|
//! | `cli` | `flux::cli::main()`: the commands of [the binary `flux`](guide::cli) in a program of one's own, with its workflows |
//!
//! SQLite, its library bundled, and the in-memory store are always there.

#[cfg(feature = "cli")]
#[doc(inline)]
pub use flux_cli as cli;
pub use flux_core::schedule::{CatchUp, Overlap};
pub use flux_core::store::Durability;
pub use flux_core::{
    Backoff, CallInfo, CallKind, CallStatus, Cancelled, ChildCall, ChildPolicy, DefaultStore,
    Elapsed, Engine, EngineBuilder, Epoch, Error, ErrorRecord, EscapedCall, Event, EventKind,
    EventSeq, Events, Execution, ExecutionContext, ExecutionId, ExecutionKey, Failure, FailureKind,
    Handle, IntoStep, List, NamedBy, NewSchedule, NonDeterminism, NotCompleted, Obstacle,
    ObstacleKind, OnConflict, OnEngine, Pause, PausePoint, PauseValue, Payload, PayloadError,
    Queue, Random, Recovered, ReleaseKind, Replayed, Resume, Run, RunningWorker, Schedule,
    SettingsError, SignalWait, Sleep, SlotRelease, Start, State, Status, TaskCall, TaskContext,
    TaskError, TaskErrorKind, TaskFailure, TaskInfo, TaskStatus, Terminal, Timeout, UnknownStatus,
    UnreadSignal, Worker, WorkerId, Workflow, WorkflowInfo, cancelled, idempotency_key, now,
    patched, pause, publish, random, roll_back, shutdown_signal, signal, sleep, sleep_until,
    sleep_until_cron, step, task_context, terminal, timeout, uuid,
};
pub use flux_core::{clock, store, time};
pub use flux_macros::{durable, task, workflow};

#[doc(hidden)]
#[path = "private.rs"]
pub mod __private;
mod select;

/// The SQLite store, and transactions in it.
pub mod sqlite {
    pub use flux_store::rusqlite;
    pub use flux_store::sqlite::{SqliteOptions, SqliteStore, transaction};
}

/// The long pages.
pub mod guide {
    #[doc = include_str!("../docs/determinism.md")]
    pub mod determinism {}

    #[doc = include_str!("../docs/delivery.md")]
    pub mod delivery {}

    #[doc = include_str!("../docs/retries.md")]
    pub mod retries {}

    #[doc = include_str!("../docs/upgrades.md")]
    pub mod upgrades {}

    #[doc = include_str!("../docs/cancellation.md")]
    pub mod cancellation {}

    #[doc = include_str!("../docs/workers.md")]
    pub mod workers {}

    #[doc = include_str!("../docs/observability.md")]
    pub mod observability {}

    #[doc = include_str!("../docs/cli.md")]
    pub mod cli {}

    #[doc = include_str!("../docs/sql.md")]
    pub mod sql {}
}

/// The code of the README runs, too.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
