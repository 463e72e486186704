//! Other processes: this test binary once more, in a role.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};

const ROLE: &str = "FLUX_TEST_ROLE";
const FOLDER: &str = "FLUX_TEST_FOLDER";

/// The role that this process is to play, if it is one of the others.
pub(crate) fn role() -> Option<String> {
    std::env::var(ROLE).ok()
}

/// The folder that the processes of one test share.
pub(crate) fn folder() -> PathBuf {
    std::env::var_os(FOLDER).unwrap().into()
}

/// The store in such a folder.
pub(crate) fn store_in(folder: &Path) -> PathBuf {
    folder.join("flux.db")
}

/// A process that plays a role; it is killed when it is dropped.
pub(crate) struct Process {
    child: Child,
    output: BufReader<ChildStdout>,
}

impl Process {
    /// Starts the test `play` alone, which asks for its [`role`].
    pub(crate) fn start(play: &str, role: &str, folder: &Path) -> Self {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", play, "--nocapture"])
            .env(ROLE, role)
            .env(FOLDER, folder)
            .env_remove("FLUX_STORE")
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        Self { child, output }
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// The next thing it says.
    pub(crate) fn says(&mut self) -> String {
        let mut line = String::new();
        while self.output.read_line(&mut line).unwrap() > 0 {
            if let Some((_, said)) = line.trim_end().split_once("> ") {
                return said.to_owned();
            }
            line.clear();
        }
        panic!("it said nothing more")
    }

    /// The last thing it says; whether it ended well.
    pub(crate) fn ends(mut self) -> String {
        let said = self.says();
        self.child.wait().unwrap();
        said
    }

    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Sends it `STOP`, `CONT`, `INT`.
    pub(crate) fn send(&self, signal: &str) {
        let mut kill = Command::new("kill");
        kill.args([format!("-{signal}"), self.id().to_string()]);
        assert!(kill.status().unwrap().success());
    }

    pub(crate) fn has_ended(&mut self) -> bool {
        self.child.try_wait().unwrap().is_some()
    }

    /// Waits for its end; whether it ended well.
    pub(crate) fn wait(&mut self) -> bool {
        self.child.wait().unwrap().success()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
