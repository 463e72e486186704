//! The cases, one file per kind of work.

use std::error::Error;
use std::path::Path;

use crate::measure::Measured;

mod children;
mod claims;
mod cli;
mod concurrent;
mod engines;
mod jobs;
mod latency;
mod replay;
mod schedules;
mod sequential;
mod sleepers;
mod takeover;

/// One case.
pub(crate) struct Case {
    pub(crate) name: &'static str,
    pub(crate) figures: &'static [Figure],
}

/// One number that a case measures.
pub(crate) struct Figure {
    pub(crate) name: &'static str,
    pub(crate) unit: &'static str,
    pub(crate) bar: &'static str,
}

/// What a case's code gives.
pub(crate) type Outcome = Result<Vec<Measured>, Failure>;

/// Why a case could not be measured.
pub(crate) type Failure = Box<dyn Error + Send + Sync>;

/// All cases, in the order they are run.
pub(crate) const ALL: &[Case] = &[
    Case {
        name: "sequential_full",
        figures: &[Figure {
            name: "sequential_full",
            unit: "tasks/s",
            bar: "at least 0.90 of the floor",
        }],
    },
    Case {
        name: "sequential_relaxed",
        figures: &[Figure {
            name: "sequential_relaxed",
            unit: "tasks/s",
            bar: "at least 15,000/s",
        }],
    },
    Case {
        name: "concurrent_full",
        figures: &[Figure {
            name: "concurrent_full",
            unit: "tasks/s",
            bar: "at least 40,000/s",
        }],
    },
    Case {
        name: "concurrent_1000",
        figures: &[Figure {
            name: "concurrent_1000",
            unit: "tasks/s",
            bar: "not slower than concurrent_full",
        }],
    },
    Case {
        name: "replay_1k",
        figures: &[Figure {
            name: "replay_1k",
            unit: "us/task",
            bar: "at most 2 us",
        }],
    },
    Case {
        name: "replay_100k",
        figures: &[Figure {
            name: "replay_100k",
            unit: "us/task",
            bar: "at most 2 us",
        }],
    },
    Case {
        name: "start_to_result",
        figures: &[Figure {
            name: "start_to_result",
            unit: "ms",
            bar: "at most the floor + 0.3 ms",
        }],
    },
    Case {
        name: "children",
        figures: &[
            Figure {
                name: "  8,000 of one",
                unit: "us",
                bar: "at most 1.5 of 500",
            },
            Figure {
                name: "  2,000 nested",
                unit: "us",
                bar: "at most 1.5 of 125",
            },
        ],
    },
    Case {
        name: "queue_throughput",
        figures: &[Figure {
            name: "queue_throughput",
            unit: "jobs/s",
            bar: "at least 10,000/s",
        }],
    },
    Case {
        name: "enqueue_to_result",
        figures: &[
            Figure {
                name: "  same process",
                unit: "ms",
                bar: "below 5 ms",
            },
            Figure {
                name: "  other process",
                unit: "ms",
                bar: "below 12 ms",
            },
        ],
    },
    Case {
        name: "engines_50",
        figures: &[Figure {
            name: "engines_50",
            unit: "jobs/s",
            bar: "(floor: one engine)",
        }],
    },
    Case {
        name: "schedules_1000",
        figures: &[Figure {
            name: "schedules_1000",
            unit: "ms",
            bar: "below 100 ms",
        }],
    },
    Case {
        name: "takeover",
        figures: &[Figure {
            name: "takeover",
            unit: "ms",
            bar: "below 1,000 ms",
        }],
    },
    Case {
        name: "wake_1000",
        figures: &[Figure {
            name: "wake_1000",
            unit: "ms",
            bar: "",
        }],
    },
    Case {
        name: "sleepers",
        figures: &[
            Figure {
                name: "  started",
                unit: "1/s",
                bar: "",
            },
            Figure {
                name: "  memory of each",
                unit: "bytes",
                bar: "at most 64",
            },
            Figure {
                name: "  file of each",
                unit: "bytes",
                bar: "(floor: the rows alone)",
            },
            Figure {
                name: "  idle CPU",
                unit: "%",
                bar: "below 1 % (floor: without them)",
            },
        ],
    },
    Case {
        name: "claim_with_1m_sleepers",
        figures: &[
            Figure {
                name: "  claim",
                unit: "ms",
                bar: "at most 1.2 of an empty file",
            },
            Figure {
                name: "  start",
                unit: "ms",
                bar: "at most 1.2 of an empty file",
            },
        ],
    },
    Case {
        name: "cli_start",
        figures: &[
            Figure {
                name: "  flux --version",
                unit: "ms",
                bar: "below 20 ms",
            },
            Figure {
                name: "  list, empty",
                unit: "ms",
                bar: "below 20 ms",
            },
        ],
    },
    Case {
        name: "cli_list_1m",
        figures: &[
            Figure {
                name: "  newest",
                unit: "ms",
                bar: "below 100 ms",
            },
            Figure {
                name: "  one status",
                unit: "ms",
                bar: "below 100 ms",
            },
            Figure {
                name: "  one workflow",
                unit: "ms",
                bar: "below 100 ms",
            },
            Figure {
                name: "  both",
                unit: "ms",
                bar: "below 100 ms",
            },
            Figure {
                name: "  none of both",
                unit: "ms",
                bar: "below 100 ms",
            },
        ],
    },
    Case {
        name: "cli_show_1m",
        figures: &[
            Figure {
                name: "  whole id",
                unit: "ms",
                bar: "below 100 ms",
            },
            Figure {
                name: "  end of the id",
                unit: "ms",
                bar: "below 100 ms",
            },
        ],
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
        "children" => children::run(dir).await,
        "queue_throughput" => jobs::throughput(dir).await,
        "enqueue_to_result" => jobs::latency(dir).await,
        "engines_50" => engines::run(dir, 50).await,
        "schedules_1000" => schedules::run(dir, 1000).await,
        "takeover" => takeover::run(dir).await,
        "wake_1000" => sleepers::wake(dir, 1000).await,
        "sleepers" => sleepers::run(dir, 100_000).await,
        "claim_with_1m_sleepers" => claims::run(dir, 1_000_000).await,
        "cli_start" => cli::start(dir).await,
        "cli_list_1m" => cli::list(dir, 1_000_000).await,
        "cli_show_1m" => cli::show(dir, 1_000_000).await,
        other => Err(format!("no code for case {other}").into()),
    }
}
