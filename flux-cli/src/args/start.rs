//! `run`, `start`, `worker`.

use std::num::NonZeroUsize;
use std::time::Duration;

use clap::{Args, Subcommand};

pub(super) const RUN: &str = "Examples:
  flux run shop --input '{\"order\": 7}' --follow   each event as it happens
  flux run shop --input @order.json --id order-7    at most once per id
  flux run shop --in 5m --wait                      later, by a worker

A program with the workflow's code drives it here, until it finishes or pauses. Without the code, or with a queue or a \
moment, it is recorded for a worker, and waited for only with `--wait` or `--follow`.

Exit codes: 0 completed or recorded, 2 bad input, 3 unknown workflow, 4 failed, 5 cancelled or terminated, \
6 paused or `--timeout` over, 130 Ctrl-C.";

pub(super) const START: &str = "Examples:
  flux start shop --input '{\"order\": 7}'
  flux start shop --queue orders --priority 5
  flux start shop --at 2026-12-24T18:00:00Z";

pub(super) const WORKER: &str = "Examples:
  cargo run -- worker                        drives what is ready, until Ctrl-C
  cargo run -- worker --queue orders --concurrency 64
  flux worker list                           who has this store open";

#[derive(Debug, Args)]
pub(crate) struct Run {
    #[command(flatten)]
    pub(crate) beginning: Beginning,
    #[command(flatten)]
    pub(crate) watching: Watching,
}

#[derive(Debug, Args)]
pub(crate) struct Start {
    #[command(flatten)]
    pub(crate) beginning: Beginning,
}

/// What is started, and where and when.
#[derive(Debug, Args)]
pub(crate) struct Beginning {
    /// Its name
    #[arg(value_name = "WORKFLOW")]
    pub(crate) workflow: String,
    /// Its input: JSON, `@file`, or `-` for standard input
    #[arg(short, long, value_name = "JSON|@FILE|-")]
    pub(crate) input: Option<String>,
    /// Name the execution: a second start with the same id and input finds the first
    #[arg(long, value_name = "ID")]
    pub(crate) id: Option<String>,
    /// Put it into this queue
    #[arg(long, value_name = "NAME")]
    pub(crate) queue: Option<String>,
    /// Start it no sooner than at this moment
    #[arg(long, value_name = "MOMENT", conflicts_with = "delay")]
    pub(crate) at: Option<String>,
    /// Start it no sooner than after this span
    #[arg(long = "in", value_name = "SPAN", value_parser = humantime::parse_duration)]
    pub(crate) delay: Option<Duration>,
    /// Let it go before those of a lower priority
    #[arg(
        long,
        value_name = "N",
        default_value_t = 0,
        allow_negative_numbers = true
    )]
    pub(crate) priority: i32,
    /// Start nothing while one with the same key has not finished
    #[arg(long, value_name = "KEY")]
    pub(crate) dedup: Option<String>,
}

/// How an execution is waited for.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Waiting")]
pub(crate) struct Watching {
    /// Wait until it finishes or pauses
    #[arg(long)]
    pub(crate) wait: bool,
    /// Wait, and print each event as it happens
    #[arg(short, long)]
    pub(crate) follow: bool,
    /// Wait no longer than this
    #[arg(long, value_name = "SPAN", value_parser = humantime::parse_duration)]
    pub(crate) timeout: Option<Duration>,
}

#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct Worker {
    #[command(subcommand)]
    pub(crate) command: Option<WorkerCommand>,
    /// Serve only these queues, and what is in none
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    pub(crate) queue: Vec<String>,
    /// Drive at most this many executions at once
    #[arg(long, value_name = "N")]
    pub(crate) concurrency: Option<NonZeroUsize>,
    /// Let bodies finish for this long after Ctrl-C
    #[arg(long, value_name = "SPAN", value_parser = humantime::parse_duration)]
    pub(crate) grace: Option<Duration>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum WorkerCommand {
    /// Who has this store open, and what they serve
    #[command(after_help = "Examples:\n  flux worker list")]
    List,
}
