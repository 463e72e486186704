//! `schedule ..`.

use clap::{Args, Subcommand, ValueEnum};

pub(super) const HELP: &str = "Examples:
  flux schedule list
  flux schedule create nightly --workflow load --cron '0 3 * * *' --zone Europe/Berlin
  flux schedule preview nightly -n 5
  flux schedule trigger nightly              now, beside its moments
  flux schedule backfill nightly --from 2026-01-01 --to 2026-01-08";

#[derive(Debug, Subcommand)]
pub(crate) enum Schedule {
    /// All of them, by name
    #[command(
        visible_alias = "ls",
        after_help = "Examples:\n  flux schedule list -o wide"
    )]
    List,
    /// One of them, with its latest executions
    #[command(after_help = "Examples:\n  flux schedule show nightly")]
    Show(ScheduleName),
    /// Create one, or replace it
    #[command(after_help = "Examples:
  flux schedule create nightly --workflow load --cron '0 3 * * *' --zone Europe/Berlin
  flux schedule create poll --workflow poll --every 5m --input '{\"feed\": 7}'")]
    Create(NewSchedule),
    /// Fire no more until it is resumed
    #[command(after_help = "Examples:\n  flux schedule pause nightly")]
    Pause(ScheduleName),
    /// Fire again, from now on
    #[command(after_help = "Examples:\n  flux schedule resume nightly")]
    Resume(ScheduleName),
    /// Start an execution now
    #[command(after_help = "Examples:\n  flux schedule trigger nightly")]
    Trigger(ScheduleName),
    /// Remove it; what it started goes on
    #[command(after_help = "Examples:\n  flux schedule delete nightly")]
    Delete(ScheduleName),
    /// The next moments it fires at
    #[command(after_help = "Examples:\n  flux schedule preview nightly -n 5 --time iso")]
    Preview(Moments),
    /// Start the executions of all moments of a span that have none
    #[command(
        after_help = "Examples:\n  flux schedule backfill nightly --from 2026-01-01 --to 2026-01-08"
    )]
    Backfill(Backfill),
}

#[derive(Debug, Args)]
pub(crate) struct ScheduleName {
    /// Its name
    #[arg(value_name = "NAME")]
    pub(crate) name: String,
}

#[derive(Debug, Args)]
pub(crate) struct Moments {
    /// Its name
    #[arg(value_name = "NAME")]
    pub(crate) name: String,
    /// How many
    #[arg(short = 'n', long, default_value_t = 10, value_name = "N")]
    pub(crate) count: usize,
}

#[derive(Debug, Args)]
pub(crate) struct Backfill {
    /// Its name
    #[arg(value_name = "NAME")]
    pub(crate) name: String,
    /// From this moment on
    #[arg(long, value_name = "MOMENT")]
    pub(crate) from: String,
    /// To this moment [default: now]
    #[arg(long, value_name = "MOMENT")]
    pub(crate) to: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct NewSchedule {
    /// Its name
    #[arg(value_name = "NAME")]
    pub(crate) name: String,
    /// The workflow it starts
    #[arg(short, long, value_name = "NAME")]
    pub(crate) workflow: String,
    /// The input it gives: JSON, `@file`, or `-` for standard input
    #[arg(short, long, value_name = "JSON|@FILE|-")]
    pub(crate) input: Option<String>,
    /// When: `0 3 * * *`, `30 9 * * MON-FRI`, `@daily`
    #[arg(long, value_name = "EXPR", required_unless_present = "every")]
    pub(crate) cron: Option<String>,
    /// At this interval: `5m`, `1h30m`
    #[arg(long, value_name = "SPAN", conflicts_with = "cron")]
    pub(crate) every: Option<String>,
    /// The time zone of the expression [default: UTC]
    #[arg(long, value_name = "ZONE", requires = "cron")]
    pub(crate) zone: Option<String>,
    /// What happens while an earlier execution has not finished
    #[arg(long, value_enum, default_value_t)]
    pub(crate) overlap: Overlap,
    /// What happens to moments that passed while no worker ran
    #[arg(long, value_enum, default_value_t)]
    pub(crate) catch_up: CatchUp,
    /// Start each a little later, by up to this
    #[arg(long, value_name = "SPAN", value_parser = humantime::parse_duration)]
    pub(crate) jitter: Option<std::time::Duration>,
}

#[derive(Clone, Copy, Debug, Default, ValueEnum)]
pub(crate) enum Overlap {
    /// Nothing is started
    #[default]
    Skip,
    /// It runs beside the earlier one
    Allow,
    /// It waits for the earlier one
    Queue,
    /// The earlier one is cancelled
    CancelRunning,
}

#[derive(Clone, Copy, Debug, Default, ValueEnum)]
pub(crate) enum CatchUp {
    /// The last of them fires
    #[default]
    One,
    /// All of them fire
    All,
    /// None of them fires
    None,
}

impl From<Overlap> for flux_core::schedule::Overlap {
    fn from(overlap: Overlap) -> Self {
        match overlap {
            Overlap::Skip => Self::Skip,
            Overlap::Allow => Self::Allow,
            Overlap::Queue => Self::Queue,
            Overlap::CancelRunning => Self::CancelRunning,
        }
    }
}

impl From<CatchUp> for flux_core::schedule::CatchUp {
    fn from(catch_up: CatchUp) -> Self {
        match catch_up {
            CatchUp::One => Self::One,
            CatchUp::All => Self::All,
            CatchUp::None => Self::None,
        }
    }
}
