//! `init`: a new project that compiles and runs as it is.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::args::Init;
use crate::exit::{Exit, Failure, Outcome};
use crate::session::Session;

const IGNORE: &str = "/target\n*.db\n*.db-wal\n*.db-shm\n*.db-workers/\n";

/// What Rust keeps for itself, and what the program has a use for.
const TAKEN: &[&str] = &[
    "as", "async", "await", "break", "const", "continue", "crate", "dyn", "else", "enum", "extern",
    "false", "fn", "for", "gen", "if", "impl", "in", "let", "loop", "match", "mod", "move", "mut",
    "pub", "ref", "return", "self", "static", "struct", "super", "trait", "true", "type", "unsafe",
    "use", "where", "while", "abstract", "become", "box", "do", "final", "macro", "override",
    "priv", "try", "typeof", "unsized", "virtual", "yield", "main", "task", "workflow", "flux",
    "serde", "tokio", "std", "test", "core", "alloc", "so_far", "ctx",
];

/// The longest name of a workflow whose signature `rustfmt` leaves on one line.
const SHORT: usize = 33;

/// A project that was made.
#[derive(Serialize)]
struct Made {
    folder: PathBuf,
    workflow: String,
    tasks: Vec<String>,
}

pub(super) fn init(session: &Session, args: &Init) -> Outcome {
    let workflow = identifier(&args.name, "a project")?;
    let tasks = args
        .tasks
        .iter()
        .map(|task| identifier(task, "a task"))
        .collect::<Result<Vec<_>, _>>()?;
    if let Some(twice) = tasks
        .iter()
        .enumerate()
        .find(|(place, task)| **task == workflow || tasks[..*place].contains(task))
    {
        return Err(Failure::usage(format!(
            "the name `{}` is used twice",
            twice.1
        )));
    }
    let folder = PathBuf::from(&args.name);
    if folder.exists() {
        return Err(Failure::conflict(format!(
            "`{}` is there already: nothing was written",
            folder.display()
        )));
    }
    write(&folder, &workflow, &tasks).map_err(|error| {
        Failure::operational(format!("`{}` cannot be written: {error}", folder.display()))
    })?;
    let made = Made {
        folder,
        workflow,
        tasks,
    };
    session
        .output
        .value(&made, || format!("Made `{}`", made.folder.display()))?;
    session.say(format!(
        "cd {} && cargo run -- run {} --follow",
        crate::session::quoted(&args.name),
        made.workflow
    ));
    Ok(Exit::Done)
}

/// The name as Rust has it: `nightly-load` is `nightly_load`.
fn identifier(name: &str, of: &str) -> Result<String, Failure> {
    let word = name.trim().replace('-', "_");
    let is_word = word.starts_with(|c: char| c.is_ascii_lowercase())
        && word
            .chars()
            .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_');
    if !is_word {
        return Err(
            Failure::usage(format!("`{name}` cannot be the name of {of}"))
                .hint("lower-case letters, digits, `-` and `_`, beginning with a letter"),
        );
    }
    if TAKEN.contains(&word.as_str()) {
        return Err(Failure::usage(format!(
            "`{word}` is taken, by Rust or by the program itself"
        )));
    }
    Ok(word)
}

fn write(folder: &Path, workflow: &str, tasks: &[String]) -> std::io::Result<()> {
    fs::create_dir_all(folder.join("src"))?;
    fs::write(folder.join("Cargo.toml"), manifest(folder))?;
    fs::write(folder.join(".gitignore"), IGNORE)?;
    fs::write(folder.join("src/main.rs"), program(workflow, tasks))
}

fn manifest(folder: &Path) -> String {
    let package = folder
        .file_name()
        .map(|name| name.to_string_lossy().into_owned());
    let workspace = if is_in_workspace(folder) {
        "\n[workspace] # of its own, not of a folder above\n"
    } else {
        ""
    };
    let manifest = format!(
        include_str!("../../templates/Cargo.toml.txt"),
        package = package.unwrap_or_default(),
        flux = flux(),
        workspace = workspace,
    );
    manifest.trim_end().to_owned() + "\n"
}

/// The crate this program was built with: its sources where they are still there, else the same version.
fn flux() -> String {
    let sources = Path::new(env!("CARGO_MANIFEST_DIR")).parent();
    let manifest = sources.map(|sources| sources.join("Cargo.toml"));
    let is_flux = manifest
        .and_then(|manifest| fs::read_to_string(manifest).ok())
        .is_some_and(|text| text.contains("name = \"flux\""));
    match sources {
        Some(sources) if is_flux => format!("path = {:?}", sources.display().to_string()),
        _ => format!("version = \"{}\"", env!("CARGO_PKG_VERSION")),
    }
}

/// Whether a folder above is a workspace, which would want the project as its member.
fn is_in_workspace(folder: &Path) -> bool {
    let Ok(folder) = std::path::absolute(folder) else {
        return false;
    };
    folder.ancestors().skip(1).any(|above| {
        fs::read_to_string(above.join("Cargo.toml")).is_ok_and(|text| text.contains("[workspace]"))
    })
}

fn program(workflow: &str, tasks: &[String]) -> String {
    let body = |task: &String| format!(include_str!("../../templates/task.rs.txt"), task = task);
    let bodies: String = tasks.iter().map(body).collect();
    let mut calls = String::new();
    for (place, task) in tasks.iter().enumerate() {
        let _ = if place + 1 == tasks.len() {
            writeln!(calls, "    {task}(so_far).await")
        } else {
            writeln!(calls, "    let so_far = {task}(so_far).await?;")
        };
    }
    let context = if workflow.len() > SHORT {
        "\n    ctx: ExecutionContext<Input>,\n"
    } else {
        "ctx: ExecutionContext<Input>"
    };
    let count = match tasks.len() {
        1 => "one task".to_owned(),
        count => format!("{count} tasks"),
    };
    format!(
        include_str!("../../templates/main.rs.txt"),
        count = count,
        workflow = workflow,
        context = context,
        tasks = bodies,
        calls = calls,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_has_its_tasks_in_order() {
        let text = program("shop", &["reserve".to_owned(), "charge".to_owned()]);
        let at = |what: &str| {
            text.find(what)
                .unwrap_or_else(|| panic!("no {what} in {text}"))
        };
        assert!(at("let so_far = reserve(so_far).await?;") < at("    charge(so_far).await\n"));
        assert!(text.contains("async fn shop(ctx: ExecutionContext<Input>)"));
        assert!(text.contains("eprintln!(\"reserve for {so_far} ..\");"));
        assert!(!text.contains("{{") && !text.contains("{workflow}"));
    }

    #[test]
    fn names_are_made_words_of_rust_or_refused() {
        assert_eq!(
            identifier("nightly-load", "a task").unwrap(),
            "nightly_load"
        );
        for bad in ["", "7up", "Shop", "a b", "fn", "main", "../shop"] {
            assert!(identifier(bad, "a task").is_err(), "{bad}");
        }
    }
}
