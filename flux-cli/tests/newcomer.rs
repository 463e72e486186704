//! The first quarter of an hour: a project is made, run, killed and gone on with, as the README says.

#![cfg(unix)]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::Value;

/// The binary without any workflow code.
const FLUX: &str = env!("CARGO_BIN_EXE_flux");

/// A program as somebody in that folder starts it, not as one that `cargo test` started.
fn command(program: &str, args: &[&str], folder: &Path) -> Command {
    let mut command = Command::new(program);
    command.args(args).current_dir(folder).stdin(Stdio::null());
    for set_by_cargo in ["CARGO_MANIFEST_DIR", "FLUX_STORE", "RUSTFLAGS"] {
        command.env_remove(set_by_cargo);
    }
    command
}

/// Cargo in a project: what it compiles is kept from one test to the next, and nothing is downloaded. Programs that tests run
/// have different names, because they are kept in one folder.
fn cargo(args: &[&str], project: &Path) -> Command {
    let target = Path::new(FLUX).ancestors().nth(2).unwrap().join("newcomer");
    let mut cargo = command(env!("CARGO"), args, project);
    cargo
        .env("CARGO_TARGET_DIR", target)
        .env("CARGO_NET_OFFLINE", "true")
        .env("CARGO_PROFILE_DEV_DEBUG", "none")
        .env("CARGO_INCREMENTAL", "0");
    cargo
}

fn workspace() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().unwrap().to_owned()
}

/// What a program wrote to its standard output and error, after it has ended well.
fn said(mut command: Command) -> (String, String) {
    let Output {
        status,
        stdout,
        stderr,
    } = command.output().unwrap();
    let (out, err) = (
        String::from_utf8(stdout).unwrap(),
        String::from_utf8(stderr).unwrap(),
    );
    assert!(status.success(), "{command:?}\n{out}{err}");
    (out, err)
}

fn flux(args: &[&str], folder: &Path) -> String {
    said(command(FLUX, args, folder)).0
}

/// Makes a project, with the versions of what it depends on that are here.
fn init(name: &str, tasks: &str, folder: &Path) -> PathBuf {
    flux(&["init", name, "--tasks", tasks], folder);
    let project = folder.join(name);
    fs::copy(workspace().join("Cargo.lock"), project.join("Cargo.lock")).unwrap();
    project
}

/// Runs the project's program until its first task is done, and kills it. What it wrote for people is returned.
fn run_and_kill(project: &Path) -> String {
    let mut run = cargo(
        &["run", "--quiet", "--", "run", "shop", "--follow"],
        project,
    );
    let mut child = run
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut events = BufReader::new(child.stdout.take().unwrap()).lines();
    let is_first_done = events.any(|line| {
        let event: Value = serde_json::from_str(&line.unwrap()).unwrap();
        event["kind"] == "TASK_COMPLETED"
    });
    child.kill().unwrap();
    child.wait().unwrap();
    let mut errors = String::new();
    child.stderr.unwrap().read_to_string(&mut errors).unwrap();
    assert!(is_first_done, "{errors}");
    errors
}

#[test]
fn a_project_is_made_run_killed_and_gone_on_with() {
    let folder = tempfile::tempdir().unwrap();
    let project = &init("shop", "reserve,charge", folder.path());
    said(cargo(&["build", "--quiet"], project));

    let before = run_and_kill(project);
    assert_eq!(
        before.matches("reserve for no name ..").count(),
        1,
        "{before}"
    );

    let listed = flux(&["list"], project);
    assert!(listed.contains("Running"), "{listed}");
    let id = flux(&["list", "-o", "id"], project);
    let short = &id.trim()[id.trim().len() - 12..];
    assert!(listed.contains(short), "{listed}");
    let shown = flux(&["show", short], project);
    assert!(shown.contains("`charge`"), "{shown}");
    assert!(shown.contains("nobody drives it"), "{shown}");
    assert!(shown.contains("What next"), "{shown}");
    let own = said(cargo(&["run", "--quiet", "--", "show", short], project)).0;
    assert!(
        own.contains(&format!("cargo run -- resume {short}")),
        "{own}"
    );

    let (out, after) = said(cargo(&["run", "--quiet", "--", "resume", short], project));
    assert!(out.contains("no name, reserve, charge"), "{out}");
    assert_eq!(after.matches("reserve for").count(), 0, "{after}");
    assert_eq!(after.matches("charge for").count(), 1, "{after}");

    let shown = flux(&["show", short], project);
    assert!(shown.contains("Completed"), "{shown}");
    assert!(shown.contains("no name, reserve, charge"), "{shown}");
    let status = flux(&["status", "shop"], project);
    assert!(status.contains("COMPLETED"), "{status}");
    flux(&["db", "check"], project);
}

#[test]
fn a_project_is_as_the_tools_of_rust_want_it() {
    let folder = tempfile::tempdir().unwrap();
    let project = &init("shop", "reserve,charge", folder.path());
    said(cargo(&["fmt", "--check"], project));
    said(cargo(
        &["clippy", "--quiet", "--", "-D", "warnings"],
        project,
    ));
    for (name, tasks) in [
        ("only", "one"),
        (
            "a-name-as-long-as-names-become-at-times",
            "and-a-task-of-some-length",
        ),
    ] {
        said(cargo(
            &["fmt", "--check"],
            &init(name, tasks, folder.path()),
        ));
    }
}

/// The comment above the workflow says what to write for that.
#[test]
fn a_project_is_given_a_schedule_as_its_comment_says() {
    let folder = tempfile::tempdir().unwrap();
    let project = &init("nightly", "reserve,charge", folder.path());
    let program = project.join("src/main.rs");
    let text = fs::read_to_string(&program).unwrap();
    let schedule = text
        .split('`')
        .find(|code| code.starts_with("schedule = "))
        .unwrap();
    let scheduled = text.replace(
        "#[workflow(timeout = \"1h\")]",
        &format!("#[workflow(timeout = \"1h\", {schedule})]"),
    );
    assert_ne!(scheduled, text);
    fs::write(&program, scheduled).unwrap();
    said(cargo(&["build", "--quiet"], project));
}

/// Replaces something in a file of a project that is there.
fn replace(file: &Path, from: &str, to: &str) {
    let text = fs::read_to_string(file).unwrap();
    assert!(text.contains(from), "{text}");
    fs::write(file, text.replace(from, to)).unwrap();
}

#[test]
fn a_project_calls_flux_by_another_name() {
    let folder = tempfile::tempdir().unwrap();
    let project = &init("renamed", "reserve,charge", folder.path());
    let (manifest, program) = (project.join("Cargo.toml"), project.join("src/main.rs"));
    replace(&manifest, "flux = {", "durable = { package = \"flux\",");
    replace(&program, "flux::", "durable::");
    let (out, _) = said(cargo(&["run", "--quiet", "--", "run", "renamed"], project));
    assert!(out.contains("no name, reserve, charge"), "{out}");
}

#[test]
fn a_project_that_reaches_flux_through_another_crate_is_told_to_say_so() {
    let folder = tempfile::tempdir().unwrap();
    let project = &init("shop", "reserve,charge", folder.path());
    let (manifest, program) = (project.join("Cargo.toml"), project.join("src/main.rs"));
    let text = fs::read_to_string(&manifest).unwrap();
    let flux = text
        .lines()
        .find(|line| line.starts_with("flux ="))
        .unwrap();
    let through = project.join("through");
    fs::create_dir_all(through.join("src")).unwrap();
    fs::write(through.join("src/lib.rs"), "pub use flux;\n").unwrap();
    let package = "[package]\nname = \"through\"\nedition = \"2024\"\n\n[dependencies]\n";
    fs::write(through.join("Cargo.toml"), format!("{package}{flux}\n")).unwrap();
    replace(&manifest, flux, "through = { path = \"through\" }");
    replace(&program, "flux::", "through::flux::");

    let refused = cargo(&["check", "--quiet"], project).output().unwrap();
    let errors = String::from_utf8(refused.stderr).unwrap();
    assert!(
        errors.contains("#[task(crate = path::to::flux)]"),
        "{errors}"
    );
    assert!(!errors.contains("unresolved"), "{errors}");

    replace(&program, "#[task(", "#[task(crate = through::flux, ");
    replace(
        &program,
        "#[workflow(",
        "#[workflow(crate = through::flux, ",
    );
    said(cargo(&["check", "--quiet"], project));
}

#[test]
fn a_project_below_a_workspace_is_its_own() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(
        folder.path().join("Cargo.toml"),
        "[workspace]\nresolver = \"3\"\n",
    )
    .unwrap();
    let tools = folder.path().join("tools");
    fs::create_dir(&tools).unwrap();
    let project = &init("nightly-load", "fetch-rows,store-rows", &tools);
    let run = [
        "run",
        "--quiet",
        "--",
        "run",
        "nightly_load",
        "-i",
        r#"{"name": "Ada"}"#,
    ];
    let (out, _) = said(cargo(&run, project));
    assert!(out.contains("Ada, fetch_rows, store_rows"), "{out}");
}

/// Two values, and two calls that are waited for together, from neighbouring lines.
const TRANSFER: &str = r#"
use flux::{Engine, ExecutionContext, TaskError, task, workflow};

#[task]
async fn draw() -> String {
    flux::uuid().to_string()
}

#[workflow]
async fn transfer(_ctx: ExecutionContext) -> Result<[String; 4], TaskError> {
    let debit = flux::uuid().to_string();
    let credit = flux::uuid().to_string();
    let (left, right) = tokio::join!(
        draw(),
        draw(),
    );
    let seen = [debit, credit, left?, right?];
    flux::publish("seen", &seen);
    flux::pause("look").await;
    Ok(seen)
}

#[tokio::main]
async fn main() -> Result<(), flux::Error> {
    let engine = Engine::open("flux.db").await?;
    if std::env::args().any(|word| word == "resume") {
        let run = transfer.on(&engine).resume("t").await?;
        println!("{:?}", run.output().unwrap());
    } else {
        transfer.on(&engine).run(()).execution_id("t").await?;
        let seen = engine.published::<[String; 4]>("t", "seen").await?;
        println!("{:?}", seen.unwrap());
    }
    Ok(())
}
"#;

#[test]
fn a_line_that_is_inserted_exchanges_nothing_in_what_is_under_way() {
    let folder = tempfile::tempdir().unwrap();
    let project = &init("bank", "debit,credit", folder.path());
    let main = project.join("src/main.rs");
    fs::write(&main, TRANSFER).unwrap();
    let (before, _) = said(cargo(&["run", "--quiet"], project));
    fs::write(&main, format!("// A new line.\n{TRANSFER}")).unwrap();
    let (after, _) = said(cargo(&["run", "--quiet", "--", "resume"], project));
    assert_eq!(after, before);
}
