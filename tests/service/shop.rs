//! The folder of a shop: its store, and what the bank and the mail server have of it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use flux::{Engine, Event, EventKind};
use serde_json::Value;

use crate::service::command;

pub(crate) struct Shop(tempfile::TempDir);

impl Shop {
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }

    pub(crate) fn store(&self) -> PathBuf {
        self.path().join("flux.db")
    }

    /// What its processes have logged.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.path().join("log.txt")).unwrap_or_default()
    }

    fn lines(&self, file: &str) -> Vec<String> {
        let text = fs::read_to_string(self.path().join(file)).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    }

    /// The keys that the bank was given for each order: it charges once for each.
    pub(crate) fn payments(&self) -> BTreeMap<String, BTreeSet<String>> {
        let mut payments = BTreeMap::<String, BTreeSet<String>>::new();
        for line in self.lines("bank.txt") {
            let (order, _) = line.split_once('/').unwrap();
            payments.entry(order.to_owned()).or_default().insert(line);
        }
        payments
    }

    /// How many mails were sent.
    pub(crate) fn mails(&self) -> usize {
        self.lines("mails.txt").len()
    }

    /// Runs a command of the program, which has to end well.
    pub(crate) fn run(&self, args: &[&str]) -> String {
        let output = command(self, args).output().unwrap();
        let (out, err) = (
            String::from_utf8(output.stdout).unwrap(),
            String::from_utf8(output.stderr).unwrap(),
        );
        assert!(
            output.status.success(),
            "{args:?}: {}\n{out}{err}",
            output.status
        );
        out
    }

    pub(crate) fn json(&self, args: &[&str]) -> Value {
        serde_json::from_str(&self.run(args)).unwrap()
    }

    /// The history of every execution.
    pub(crate) fn histories(&self) -> BTreeMap<String, Vec<Event>> {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        runtime.block_on(async {
            let builder = Engine::builder().sqlite(self.store()).onlooker();
            let engine = builder.build().await.unwrap();
            let mut histories = BTreeMap::new();
            for run in engine.list().limit(usize::MAX).await.unwrap() {
                let id = run.execution_id();
                histories.insert(id.to_string(), engine.history(id).await.unwrap());
            }
            histories
        })
    }

    /// Checks what must be true of a shop of which every order has finished, and of which no process was killed: each of
    /// these orders was paid once and mailed once, and no body was cut off.
    pub(crate) fn check_undisturbed(&self, orders: &[String]) {
        let payments = self.payments();
        for order in orders {
            let keys = payments.get(order).map_or(0, BTreeSet::len);
            assert_eq!(keys, 1, "{order} was charged {keys} times");
        }
        assert_eq!(payments.len(), orders.len());
        assert_eq!(self.mails(), orders.len());
        for (id, events) in self.histories() {
            for event in &events {
                let is_cut_off = event.kind == EventKind::TaskInterrupted;
                let is_failure = event.kind == EventKind::TaskFailed;
                assert!(!is_cut_off && !is_failure, "{id}: {event:?}");
            }
        }
        self.run(&["db", "check"]);
        let log = self.log();
        assert!(!log.contains("WARN") && !log.contains("ERROR"), "{log}");
    }
}
