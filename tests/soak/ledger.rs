//! A record outside of the store: what bodies and people really did, a line each, in the order in which it happened.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::SystemTime;

use flux::clock::Timestamp;

/// Writes lines. What one process appends in one write is not mixed with what others append.
#[derive(Debug)]
pub struct Ledger(File);

impl Ledger {
    pub fn open(file: &Path) -> Self {
        let file = OpenOptions::new().append(true).create(true).open(file);
        Self(file.unwrap())
    }

    pub fn write(&self, line: &str) {
        (&self.0).write_all(format!("{line}\n").as_bytes()).unwrap();
    }

    /// A body begins.
    pub fn begin(self: &Arc<Self>, task: &str) -> Running {
        static RUNS: AtomicU64 = AtomicU64::new(0);
        let pid = std::process::id();
        let name = format!("{pid}.{}", RUNS.fetch_add(1, Ordering::Relaxed));
        let now = Timestamp::from(SystemTime::now()).as_micros();
        let key = flux::idempotency_key();
        self.write(&format!("begin {task} {key} {now} {name}"));
        Running {
            ledger: Arc::clone(self),
            name,
            has_ended: false,
        }
    }
}

/// A body that runs.
pub struct Running {
    ledger: Arc<Ledger>,
    name: String,
    has_ended: bool,
}

impl Running {
    /// It has done its work; the name of this run, which no other has.
    pub fn end(mut self) -> String {
        self.ledger.write(&format!("end {}", self.name));
        self.has_ended = true;
        self.name.clone()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if !self.has_ended {
            self.ledger.write(&format!("drop {}", self.name));
        }
    }
}

/// One run of a body.
#[derive(Clone, Debug)]
pub struct Run {
    pub task: String,
    pub began: Timestamp,
    /// Its process and number.
    pub name: String,
    pub has_ended: bool,
}

impl Run {
    pub fn pid(&self) -> u32 {
        pid_of(&self.name)
    }
}

/// The process of a run.
pub fn pid_of(name: &str) -> u32 {
    name.split('.').next().unwrap().parse().unwrap()
}

/// A body begins, or is over, in whatever way.
#[derive(Clone, Debug)]
pub enum Step {
    Begins { key: String, name: String },
    IsOver { name: String },
}

/// What a ledger says.
#[derive(Debug, Default)]
pub struct Entries {
    /// What happened to bodies, in order.
    pub steps: Vec<Step>,
    /// The runs of bodies, by the idempotency key of their call, in order.
    pub runs: BTreeMap<String, Vec<Run>>,
    /// The orders whose start was confirmed.
    pub started: Vec<String>,
    /// The processes that were stopped at some time.
    pub stopped: Vec<u32>,
}

impl Entries {
    pub fn read(file: &Path) -> Self {
        let mut entries = Self::default();
        let mut key_of = BTreeMap::new();
        for line in std::fs::read_to_string(file).unwrap_or_default().lines() {
            let words: Vec<&str> = line.split(' ').collect();
            match words[..] {
                ["begin", task, key, at, run] => {
                    key_of.insert(run.to_owned(), key.to_owned());
                    entries.steps.push(Step::Begins {
                        key: key.to_owned(),
                        name: run.to_owned(),
                    });
                    entries.runs.entry(key.to_owned()).or_default().push(Run {
                        task: task.to_owned(),
                        began: Timestamp::from_micros(at.parse().unwrap()),
                        name: run.to_owned(),
                        has_ended: false,
                    });
                }
                [how @ ("end" | "drop"), run] => {
                    let name = run.to_owned();
                    entries.steps.push(Step::IsOver { name });
                    if how == "drop" {
                        continue;
                    }
                    let runs = entries.runs.get_mut(&key_of[run]).unwrap();
                    runs.iter_mut().find(|it| it.name == run).unwrap().has_ended = true;
                }
                ["started", id] => entries.started.push(id.to_owned()),
                ["stopped", pid] => entries.stopped.push(pid.parse().unwrap()),
                _ => panic!("the ledger has the line {line:?}"),
            }
        }
        entries
    }
}
