//! The other processes: this program once more, in a role.

use std::fs::File;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};

use crate::plan::Plan;
use crate::site::Site;

const ROLE: &str = "SOAK_ROLE";
const FOLDER: &str = "SOAK_FOLDER";
const SEED: &str = "SOAK_SEED";
const VERSION: &str = "SOAK_VERSION";

/// The role of this process, if it is one of the others.
pub fn role() -> Option<String> {
    std::env::var(ROLE).ok()
}

pub fn site() -> Site {
    Site::at(Path::new(&std::env::var_os(FOLDER).unwrap()))
}

pub fn seed() -> u64 {
    std::env::var(SEED).unwrap().parse().unwrap()
}

/// The version of the code that this process has. The first process has the newest.
pub fn version() -> u32 {
    std::env::var(VERSION).map_or(2, |version| version.parse().unwrap())
}

/// Another process; it is killed when this is dropped.
pub struct Process {
    child: Child,
    is_stopped: bool,
}

impl Process {
    pub fn start(site: &Site, plan: &Plan, role: &str, version: u32) -> Self {
        let log = File::create(site.new_log(role, version)).unwrap();
        let mut program = Command::new(std::env::current_exe().unwrap());
        program
            .env(ROLE, role)
            .env(FOLDER, site.folder())
            .env(SEED, plan.seed.to_string())
            .env(VERSION, version.to_string())
            .env("RUST_BACKTRACE", "0")
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log);
        Self {
            child: program.spawn().unwrap(),
            is_stopped: false,
        }
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    pub fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Sends it `STOP`, `CONT`, `TERM`.
    pub fn send(&mut self, signal: &str) {
        let pid = self.id().to_string();
        let _ = Command::new("kill")
            .args([&format!("-{signal}"), &pid])
            .status();
        self.is_stopped = signal == "STOP";
    }

    pub fn is_stopped(&self) -> bool {
        self.is_stopped
    }

    /// How it ended, if it has.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().unwrap()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}
