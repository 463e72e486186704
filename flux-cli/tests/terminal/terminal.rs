//! A terminal with a program in it: what it shows, and keys that are pressed.

use std::num::NonZeroU16;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Child, Command as Plain, Output, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::sync::{Arc, Once};
use std::time::{Duration, Instant};
use std::{env, io::Read, io::Write, thread};

use pty_process::Size;
use pty_process::blocking::{Command, Pty, open};
use vt100::{Parser, Screen};

/// How long anything is waited for before the test has failed.
const PATIENCE: Duration = Duration::from_mins(1);

/// How many lines a terminal has: enough that nothing scrolls away.
const ROWS: u16 = 200;

/// Ctrl-C, as a terminal sends it.
pub(crate) const CTRL_C: &str = "\x03";

/// Whether programs started by this one ignore SIGINT, as those of a script's `command &` do.
pub(crate) fn ignores_interrupts() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let ignored = ignored.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    ignored.is_some_and(|mask| mask & 0b10 != 0)
}

/// The binary without any workflow code.
pub(crate) const FLUX: &str = env!("CARGO_BIN_EXE_flux");

/// A program with workflows of its own: the example, built where it is not there yet.
pub(crate) fn shop() -> String {
    static BUILT: Once = Once::new();
    let profile = Path::new(FLUX).parent().unwrap();
    BUILT.call_once(|| {
        let mut cargo = Plain::new(env!("CARGO"));
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
    });
    profile.join("examples/shop").display().to_string()
}

/// A program that runs in a terminal, on the store in a folder.
pub(crate) struct Terminal {
    pty: Arc<Pty>,
    child: Child,
    output: Receiver<Vec<u8>>,
    seen: Seen,
}

/// What a terminal shows, and what was written to it.
pub(crate) struct Seen {
    parser: Parser,
    pub(crate) bytes: Vec<u8>,
}

impl Terminal {
    pub(crate) fn start(program: &str, args: &[&str], folder: &Path, width: u16) -> Self {
        Self::start_with(program, args, folder, width, &[])
    }

    /// Starts it with variables of its environment beside the few that all have.
    pub(crate) fn start_with(
        program: &str,
        args: &[&str],
        folder: &Path,
        width: u16,
        variables: &[(&str, &str)],
    ) -> Self {
        let (pty, pts) = open().unwrap();
        pty.resize(Size::new(ROWS, width)).unwrap();
        let child = Command::new(program)
            .args(args)
            .current_dir(folder)
            .env_clear()
            .env("PATH", env::var_os("PATH").unwrap_or_default())
            .env("TERM", "xterm-256color")
            .envs(variables.iter().copied())
            .spawn(pts)
            .unwrap();
        let pty = Arc::new(pty);
        let rows = NonZeroU16::new(ROWS).unwrap();
        let seen = Seen {
            parser: Parser::new(rows, NonZeroU16::new(width).unwrap(), 0),
            bytes: Vec::new(),
        };
        Self {
            output: read(pty.clone()),
            pty,
            child,
            seen,
        }
    }

    /// Reads on until the screen is as it should be.
    pub(crate) fn until(&mut self, holds: impl Fn(&Seen) -> bool) {
        let late = Instant::now() + PATIENCE;
        while !holds(&self.seen) {
            let left = late.saturating_duration_since(Instant::now());
            match self.output.recv_timeout(left) {
                Ok(bytes) => self.seen.take(&bytes),
                Err(why) => panic!("{why}, and the screen has only:\n{}", self.seen.text()),
            }
        }
    }

    /// Reads on until a text is on the screen.
    pub(crate) fn until_seen(&mut self, text: &str) {
        self.until(|seen| seen.text().contains(text));
    }

    pub(crate) fn press(&mut self, keys: &str) {
        (&*self.pty).write_all(keys.as_bytes()).unwrap();
    }

    /// Reads to the end; the exit code of the program, and what it left on the screen.
    pub(crate) fn end(mut self) -> (i32, Seen) {
        let late = Instant::now() + PATIENCE;
        loop {
            let left = late.saturating_duration_since(Instant::now());
            match self.output.recv_timeout(left) {
                Ok(bytes) => self.seen.take(&bytes),
                Err(RecvTimeoutError::Disconnected) => break,
                Err(RecvTimeoutError::Timeout) => {
                    let _ = self.child.kill();
                    panic!("it does not end; the screen has:\n{}", self.seen.text());
                }
            }
        }
        let status = self.child.wait().unwrap();
        // As a shell has it, for one that a signal ended.
        let code = status.code().or(status.signal().map(|signal| 128 + signal));
        (code.unwrap(), self.seen)
    }
}

/// Passes on what is written to a terminal, until the last program that has it open is gone.
fn read(pty: Arc<Pty>) -> Receiver<Vec<u8>> {
    let (to, from) = channel();
    thread::spawn(move || {
        let mut piece = [0; 4096];
        while let Ok(count @ 1..) = (&*pty).read(&mut piece) {
            if to.send(piece[..count].to_vec()).is_err() {
                break;
            }
        }
    });
    from
}

impl Seen {
    fn take(&mut self, bytes: &[u8]) {
        self.parser.process(bytes);
        self.bytes.extend_from_slice(bytes);
    }

    pub(crate) fn screen(&self) -> &Screen {
        self.parser.screen()
    }

    /// All that is on the screen, lines that the terminal broke in one again.
    pub(crate) fn text(&self) -> String {
        self.screen().contents()
    }

    /// The lines that hold a text.
    pub(crate) fn lines_with(&self, text: &str) -> Vec<String> {
        let all = self.text();
        let lines = all.lines().filter(|line| line.contains(text));
        lines.map(str::to_owned).collect()
    }

    /// The first character of a text, as it is drawn.
    pub(crate) fn cell(&self, text: &str) -> &vt100::Cell {
        let (_, width) = self.screen().size();
        let place = self
            .screen()
            .rows(0, width.get())
            .zip(0..)
            .find_map(|(line, row)| {
                let before = &line[..line.find(text)?];
                Some((row, u16::try_from(before.chars().count()).unwrap()))
            });
        let (row, column) = place.unwrap_or_else(|| panic!("no {text} in:\n{}", self.text()));
        self.screen().cell(row, column).unwrap()
    }
}

/// Runs a program without a terminal.
pub(crate) fn piped(program: &str, args: &[&str], folder: &Path) -> Output {
    let mut command = Plain::new(program);
    command.args(args).current_dir(folder).stdin(Stdio::null());
    command.env_remove("FLUX_STORE").output().unwrap()
}

/// As [`piped`]: what it wrote, after it has ended well.
pub(crate) fn said(program: &str, args: &[&str], folder: &Path) -> String {
    let output = piped(program, args, folder);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{args:?}: {errors}");
    String::from_utf8(output.stdout).unwrap()
}

/// Asks again until the answer is as it should be.
pub(crate) fn until_said(args: &[&str], folder: &Path, holds: impl Fn(&str) -> bool) {
    let late = Instant::now() + PATIENCE;
    loop {
        let answer = said(FLUX, args, folder);
        if holds(&answer) {
            return;
        }
        assert!(Instant::now() < late, "{args:?} still says:\n{answer}");
    }
}

/// A worker of the example's workflows, in the background until this is dropped.
pub(crate) struct Worker(Child);

impl Worker {
    pub(crate) fn start(folder: &Path) -> Self {
        let mut command = Plain::new(shop());
        command.args(["worker", "-q"]).current_dir(folder);
        command.env_remove("FLUX_STORE").stdin(Stdio::null());
        Self(command.spawn().unwrap())
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
