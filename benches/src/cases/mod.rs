//! The cases, one file per kind of work.

use std::error::Error;
use std::path::Path;

use crate::measure::Measured;

mod concurrent;
mod latency;
mod replay;
mod sequential;

/// One case.
pub(crate) struct Case {
    pub(crate) name: &'static str,
    pub(crate) unit: &'static str,
    pub(crate) bar: &'static str,
}

/// What a case's code gives.
pub(crate) type Outcome = Result<Measured, Box<dyn Error + Send + Sync>>;

/// All cases, in the order they are run.
pub(crate) const ALL: &[Case] = &[
    Case {
        name: "sequential_full",
        unit: "tasks/s",
        bar: "at least 0.90 of the floor",
    },
    Case {
        name: "sequential_relaxed",
        unit: "tasks/s",
        bar: "at least 15,000/s",
    },
    Case {
        name: "concurrent_full",
        unit: "tasks/s",
        bar: "at least 40,000/s",
    },
    Case {
        name: "concurrent_1000",
        unit: "tasks/s",
        bar: "not slower than concurrent_full",
    },
    Case {
        name: "replay_1k",
        unit: "us/task",
        bar: "at most 2 us",
    },
    Case {
        name: "replay_100k",
        unit: "us/task",
        bar: "at most 2 us",
    },
    Case {
        name: "start_to_result",
        unit: "ms",
        bar: "at most the floor + 0.3 ms",
    },
];

/// Runs a case in a folder of its own.
pub(crate) async fn run(case: &Case, dir: &Path) -> Outcome {
    std::fs::create_dir_all(dir)?;
    match case.name {
        "sequential_full" => sequential::full(dir).await,
        "sequential_relaxed" => sequential::relaxed(dir).await,
        "concurrent_full" => concurrent::run(dir, 100).await,
        "concurrent_1000" => concurrent::run(dir, 1000).await,
        "replay_1k" => replay::run(dir, 500).await,
        "replay_100k" => replay::run(dir, 50_000).await,
        "start_to_result" => latency::start_to_result(dir).await,
        other => Err(format!("no code for case {other}").into()),
    }
}
