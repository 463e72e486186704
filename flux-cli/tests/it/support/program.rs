//! Calls of `flux`, which has no workflow code, and of the example program `shop`, which has.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;

use super::seed::NOW;

/// One call of a program.
pub(crate) struct Call {
    line: String,
    command: Command,
    input: String,
}

/// What came of it.
pub(crate) struct Ran {
    line: String,
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// What would change what a program says.
const UNSET: [&str; 7] = [
    "NO_COLOR",
    "CLICOLOR",
    "CLICOLOR_FORCE",
    "COLUMNS",
    "FLUX_STORE",
    "CARGO_MANIFEST_DIR",
    "RUST_BACKTRACE",
];

impl Call {
    pub(super) fn new(folder: &Path, line: &str) -> Self {
        let words = shlex::split(line).unwrap();
        let (program, words) = words.split_first().unwrap();
        let program = match program.as_str() {
            "flux" => flux(),
            "shop" => shop(),
            other => panic!("there is no program {other}"),
        };
        // With its folder on the path, it calls itself by its name alone.
        let path = program.parent().unwrap().to_owned();
        let mut command = Command::new(&program);
        command.args(words).current_dir(folder);
        command
            .env("FLUX_NOW", NOW)
            .env("TZ", "UTC")
            .env("PATH", path);
        for name in UNSET {
            command.env_remove(name);
        }
        Self {
            line: line.to_owned(),
            command,
            input: String::new(),
        }
    }

    /// Sets a variable of its environment.
    pub(crate) fn env(mut self, name: &str, value: impl AsRef<std::ffi::OsStr>) -> Self {
        self.command.env(name, value);
        self
    }

    /// Lets it have the time of the machine.
    pub(crate) fn in_real_time(mut self) -> Self {
        self.command.env_remove("FLUX_NOW");
        self
    }

    /// In another folder.
    pub(crate) fn within(mut self, folder: &Path) -> Self {
        self.command.current_dir(folder);
        self
    }

    /// Gives it this on standard input.
    pub(crate) fn input(mut self, text: &str) -> Self {
        text.clone_into(&mut self.input);
        self
    }

    /// Starts it, and leaves it to the test.
    pub(crate) fn spawn(mut self) -> Child {
        let piped = self.command.stdin(Stdio::null()).stdout(Stdio::piped());
        piped.stderr(Stdio::piped()).spawn().unwrap()
    }

    pub(crate) fn run(self) -> Ran {
        let mut command = assert_cmd::Command::from_std(self.command);
        let output = command.write_stdin(self.input).output().unwrap();
        Ran {
            line: self.line,
            code: output.status.code(),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }
}

impl Ran {
    /// Insists on the exit code.
    pub(crate) fn exits(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "{}", self.transcript());
        self
    }

    /// Its standard output as JSON.
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.stdout)
            .unwrap_or_else(|error| panic!("{error}\n{}", self.transcript()))
    }

    /// The command, its exit code where it is not 0, and what it said where.
    pub(crate) fn transcript(&self) -> String {
        let mut text = format!("$ {}\n{}", self.line, self.stdout);
        if !self.stderr.is_empty() {
            let said = self.stderr.lines().map(|line| format!("2> {line}\n"));
            text.extend(said);
        }
        match self.code {
            Some(0) => {}
            Some(code) => text.push_str(&format!("exit code {code}\n")),
            None => text.push_str("killed\n"),
        }
        text
    }
}

fn flux() -> PathBuf {
    PathBuf::from(env!("CARGO_BIN_EXE_flux"))
}

/// The example, built once more: with one test asked for by name, it is not what was last written.
fn shop() -> PathBuf {
    static SHOP: OnceLock<PathBuf> = OnceLock::new();
    SHOP.get_or_init(build_shop).clone()
}

fn build_shop() -> PathBuf {
    let flux = flux();
    let profile = flux.parent().unwrap();
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args([
        "build",
        "--quiet",
        "--offline",
        "-p",
        "flux-cli",
        "--example",
        "shop",
    ]);
    if profile.ends_with("release") {
        cargo.arg("--release");
    }
    cargo.env("CARGO_TARGET_DIR", profile.parent().unwrap());
    assert!(cargo.status().unwrap().success());
    profile.join("examples/shop")
}
