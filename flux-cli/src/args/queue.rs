//! `queue ..`.

use std::str::FromStr;

use clap::{Args, Subcommand};

pub(super) const HELP: &str = "Examples:
  flux queue list
  flux queue set emails --concurrency 10 --rate 100/min
  flux queue set emails --concurrency none
  flux queue pause emails";

#[derive(Debug, Subcommand)]
pub(crate) enum Queue {
    /// All of them: what waits, what runs, their limits
    #[command(visible_alias = "ls", after_help = "Examples:\n  flux queue list")]
    List,
    /// Start nothing more from it
    #[command(after_help = "Examples:\n  flux queue pause emails")]
    Pause(QueueName),
    /// Start from it again
    #[command(after_help = "Examples:\n  flux queue resume emails")]
    Resume(QueueName),
    /// Change its limits; those not named stay
    #[command(after_help = "Examples:
  flux queue set emails --concurrency 10 --per-worker 4 --rate 100/min
  flux queue set emails --partition-by tenant
  flux queue set emails --rate none")]
    Set(Limits),
}

#[derive(Debug, Args)]
pub(crate) struct QueueName {
    /// Its name
    #[arg(value_name = "NAME")]
    pub(crate) name: String,
}

#[derive(Debug, Args)]
#[group(required = true, multiple = true)]
pub(crate) struct Rates {
    /// How many may have started and not finished, or `none`
    #[arg(long, value_name = "N|none")]
    pub(crate) concurrency: Option<Limit<u32>>,
    /// How many one worker may drive at once, or `none`
    #[arg(long, value_name = "N|none")]
    pub(crate) per_worker: Option<Limit<u32>>,
    /// How many may start in a span, `100/min`, or `none`
    #[arg(long, value_name = "N/SPAN|none")]
    pub(crate) rate: Option<Limit<String>>,
    /// Let executions take turns by this field of their input, or `none`
    #[arg(long, value_name = "FIELD|none")]
    pub(crate) partition_by: Option<Limit<String>>,
}

#[derive(Debug, Args)]
pub(crate) struct Limits {
    /// Its name
    #[arg(value_name = "NAME")]
    pub(crate) name: String,
    #[command(flatten)]
    pub(crate) limits: Rates,
}

/// A limit, or `none`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Limit<T>(pub(crate) Option<T>);

impl<T: FromStr> FromStr for Limit<T> {
    type Err = T::Err;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text == "none" {
            return Ok(Self(None));
        }
        text.parse().map(|limit| Self(Some(limit)))
    }
}
