//! A record outside of the store: what bodies and people really did, a line each, in the order in which it happened.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

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

    /// A body has begun; a name for this run of it, which no other run has.
    pub fn begin(&self, task: &str) -> String {
        static RUNS: AtomicU64 = AtomicU64::new(0);
        let pid = std::process::id();
        let run = format!("{pid}.{}", RUNS.fetch_add(1, Ordering::Relaxed));
        let attempt = flux::task_context().map_or(0, |body| body.attempt());
        let key = flux::idempotency_key();
        self.write(&format!("begin {task} {key} {attempt} {run}"));
        run
    }

    /// A body has done its work.
    pub fn end(&self, run: &str) {
        self.write(&format!("end {run}"));
    }
}

/// One run of a body.
#[derive(Clone, Debug)]
pub struct Run {
    pub task: String,
    /// Its process and number.
    pub name: String,
    pub has_ended: bool,
}

impl Run {
    pub fn pid(&self) -> u32 {
        self.name.split('.').next().unwrap().parse().unwrap()
    }
}

/// What a ledger says.
#[derive(Debug, Default)]
pub struct Entries {
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
                ["begin", task, key, _attempt, run] => {
                    key_of.insert(run.to_owned(), key.to_owned());
                    entries.runs.entry(key.to_owned()).or_default().push(Run {
                        task: task.to_owned(),
                        name: run.to_owned(),
                        has_ended: false,
                    });
                }
                ["end", run] => {
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
