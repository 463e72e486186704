//! A retry says which tasks it runs again, and with filters leaves out what would run twice unless a flag names it.
//!
//! In a program of its own, because the workflows of a program are in the catalog of every store that it makes.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::process::Command;

use flux::{Engine, ExecutionContext, ExecutionId, Status, TaskError, task, workflow};
use serde_json::Value;
use tempfile::TempDir;

/// What a command printed.
struct Ran {
    stdout: String,
    stderr: String,
}

impl Ran {
    fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap()
    }
}

/// Runs the binary in this folder; it has to succeed.
fn run(folder: &TempDir, line: &str) -> Ran {
    let output = Command::new(env!("CARGO_BIN_EXE_flux"))
        .args(line.split(' ').skip(1))
        .current_dir(folder)
        .env_remove("FLUX_STORE")
        .output()
        .unwrap();
    let stdout = String::from_utf8(output.stdout).unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{line}\n{stdout}{stderr}");
    Ran { stdout, stderr }
}

#[task(rollback = release_stock)]
async fn reserve_stock(_item: String) -> u32 {
    1
}

#[task]
async fn release_stock(_item: String, _reserved: Option<u32>) {}

#[task(rollback = refund_card)]
async fn charge_card(_cents: u32) -> u32 {
    2
}

#[task]
async fn refund_card(_cents: u32, _charged: Option<u32>) {}

#[task]
async fn hand_over() -> Result<u32, String> {
    Err("the door is closed".to_owned())
}

#[task(at_most_once, timeout = "20ms")]
async fn fire_rocket() -> u32 {
    std::future::pending().await
}

/// Approved by a person, paid, and undone.
#[workflow]
async fn deliver_order(ctx: ExecutionContext<String>) -> Result<u32, TaskError> {
    reserve_stock(ctx.input().clone()).await?;
    flux::pause("approval").await;
    flux::pause("address").keep_after_rollback().await;
    charge_card(450).await?;
    hand_over().await
}

#[workflow]
async fn light_fireworks(_ctx: ExecutionContext) -> Result<u32, TaskError> {
    fire_rocket().await
}

/// Fails by the failure of a child that was rolled back.
#[workflow]
async fn fulfil(_ctx: ExecutionContext) -> Result<u32, TaskError> {
    charge_or_undo.call(()).await
}

#[workflow]
async fn charge_or_undo(_ctx: ExecutionContext) -> Result<u32, TaskError> {
    charge_card(450).await?;
    flux::pause("signature").await;
    hand_over().await
}

/// Goes on without what its child could not do.
#[workflow]
async fn knock_twice(_ctx: ExecutionContext) -> u32 {
    let first = knock.call(()).await;
    first.unwrap_or(3)
}

#[workflow]
async fn knock(_ctx: ExecutionContext) -> Result<u32, TaskError> {
    hand_over().await
}

/// A store with one failed execution of each kind.
fn failed() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = runtime.enable_all().build().unwrap();
    runtime.block_on(async {
        let engine = Engine::open(folder.path().join("flux.db")).await.unwrap();
        let order = deliver_order.on(&engine).run("tea".to_owned());
        let _ = order.execution_id("order").await.unwrap();
        for point in ["approval", "address"] {
            let _ = engine.resume("order").at(point).await.unwrap();
        }
        let rocket = light_fireworks.on(&engine).run(());
        let _ = rocket.execution_id("rocket").await.unwrap();
        let parent = fulfil.on(&engine).run(());
        let _ = parent.execution_id("parent").await.unwrap();
        let _ = engine.resume("parent").await.unwrap();
        let visit = knock.on(&engine).run(());
        let _ = visit.execution_id("knock").await.unwrap();
        for id in ["order", "rocket", "parent", "knock"] {
            assert_eq!(status(&engine, id).await, Status::Failed);
        }
    });
    folder
}

async fn status(engine: &Engine, id: &str) -> Status {
    engine.get(ExecutionId::from(id)).await.unwrap().status()
}

const UNDONE: &str = "rolled back: reserve_stock, charge_card; they run again under new keys";
const ASKED: &str = "waits again for `approval`";
const IN_CHILD: &str = "rolled back: charge_card; it runs again under a new key";
const ASKED_IN_CHILD: &str = "waits again for `signature`";
const UNKNOWN: &str = "`fire_rocket` may have done its work, and runs again";

/// The hint was "what succeeded is kept", and the card was charged again.
#[test]
fn show_says_what_a_retry_does_to_this_execution() {
    let folder = failed();
    let order = run(&folder, "flux show order").stdout;
    assert!(order.contains(&format!("{UNDONE}; {ASKED}")), "{order}");
    assert!(!order.contains("is kept"), "{order}");
    let rocket = run(&folder, "flux show rocket").stdout;
    assert!(rocket.contains(UNKNOWN), "{rocket}");
    let parent = run(&folder, "flux show parent").stdout;
    let again = format!("{IN_CHILD}; {ASKED_IN_CHILD}; what succeeded is kept");
    assert!(parent.contains(&again), "{parent}");
    let plain = run(&folder, "flux show knock").stdout;
    assert!(
        plain.contains("try `hand_over` again; what succeeded is kept"),
        "{plain}"
    );
    let json = run(&folder, "flux show order --json").json();
    let failure = &json["failure"];
    assert_eq!(failure["is_rolled_back"], true);
    assert_eq!(
        failure["undone"],
        serde_json::json!(["reserve_stock", "charge_card"])
    );
    let json = run(&folder, "flux show rocket --json").json();
    assert_eq!(
        json["failure"]["unknown_outcomes"],
        serde_json::json!(["fire_rocket"])
    );
}

#[test]
fn a_retry_says_first_which_tasks_it_runs_again() {
    let folder = failed();
    for command in ["retry", "resume"] {
        let order = run(&folder, &format!("flux {command} order")).stderr;
        let is_first = command == "retry";
        assert_eq!(order.contains(UNDONE), is_first, "{order}");
        assert_eq!(order.contains(ASKED), is_first, "{order}");
    }
    let both = run(&folder, "flux retry rocket knock").stderr;
    assert!(both.contains(&format!("rocket: {UNKNOWN}")), "{both}");
    assert!(!both.contains("knock:"), "{both}");
}

#[test]
fn filters_leave_out_what_would_run_twice_unless_a_flag_names_it() {
    for command in ["retry", "resume"] {
        let folder = failed();
        let line = format!("flux {command} --status failed -y -o id");
        let plain = run(&folder, &line);
        assert_eq!(plain.stdout, "knock\n", "{}", plain.stderr);
        for says in [
            "left out: 3 rolled back, which would run again under new keys; `--rolled-back`",
            "left out: 1 with an unknown outcome, whose bodies would run again; `--unknown-outcome`",
        ] {
            assert!(plain.stderr.contains(says), "{}", plain.stderr);
        }
        let named = run(&folder, &format!("{line} --rolled-back"));
        let mut ids: Vec<&str> = named.stdout.lines().collect();
        ids.sort_unstable();
        assert_eq!(ids[..2], ["order", "parent"], "{}", named.stderr);
        assert!(ids[2].starts_with("parent"), "its child: {ids:?}");
        for says in [UNDONE, IN_CHILD] {
            assert!(named.stderr.contains(says), "{}", named.stderr);
        }
        let named = run(&folder, &format!("{line} --unknown-outcome"));
        assert_eq!(named.stdout, "rocket\n", "{}", named.stderr);
    }
}

#[test]
fn the_list_says_which_were_rolled_back() {
    let folder = failed();
    let listed = run(&folder, "flux list --json").json();
    let of = |id: &str| {
        let all = listed.as_array().unwrap().iter();
        all.clone().find(|one| one["id"] == id).unwrap()["failure"].clone()
    };
    assert_eq!(of("knock")["is_rolled_back"], false);
    assert_eq!(of("parent")["is_rolled_back"], false);
    assert_eq!(of("parent")["undone"], serde_json::json!(["charge_card"]));
    assert_eq!(of("order")["is_rolled_back"], true);
}

#[test]
fn filters_leave_out_children_whose_parents_have_dealt_with_their_failure() {
    let folder = tempfile::tempdir().unwrap();
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = runtime.enable_all().build().unwrap();
    runtime.block_on(async {
        let engine = Engine::open(folder.path().join("flux.db")).await.unwrap();
        let parent = knock_twice.on(&engine).run(()).execution_id("calm");
        assert!(parent.await.unwrap().has_succeeded());
        let alone = knock.on(&engine).run(()).execution_id("knock");
        assert!(alone.await.unwrap().has_failed());
    });
    let many = run(&folder, "flux retry --status failed -y -o id");
    assert_eq!(many.stdout, "knock\n", "{}", many.stderr);
    let says = "left out: 1 child whose parent has dealt with the failure";
    assert!(many.stderr.contains(says), "{}", many.stderr);
    let one = run(&folder, "flux retry calm.2 -o id");
    assert_eq!(one.stdout, "calm.2\n", "{}", one.stderr);
}
