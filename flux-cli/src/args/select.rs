//! Which executions: by id, or by what they are like.

use clap::Args;
use flux_core::Status;

#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Filters")]
pub(crate) struct Filters {
    /// Only of this status: pending, running, paused, completed, failed, cancelled, terminated
    #[arg(
        short,
        long,
        value_name = "STATUS",
        value_delimiter = ',',
        ignore_case = true
    )]
    pub(crate) status: Vec<Status>,
    /// Only of this workflow
    #[arg(short, long, value_name = "NAME")]
    pub(crate) workflow: Option<String>,
    /// Only those created since: `2h`, `2026-01-02`, `2026-01-02T03:04:05Z`
    #[arg(long, value_name = "MOMENT")]
    pub(crate) since: Option<String>,
    /// Only of this queue
    #[arg(long, value_name = "NAME")]
    pub(crate) queue: Option<String>,
    /// Only with this tag
    #[arg(long, value_name = "TAG")]
    pub(crate) tag: Option<String>,
    /// Only those that this schedule started
    #[arg(long, value_name = "NAME")]
    pub(crate) schedule: Option<String>,
}

impl Filters {
    /// Whether they say nothing.
    pub(crate) fn is_empty(&self) -> bool {
        let Self {
            status,
            workflow,
            since,
            queue,
            tag,
            schedule,
        } = self;
        status.is_empty()
            && [workflow, since, queue, tag, schedule]
                .iter()
                .all(|filter| filter.is_none())
    }
}

/// Some by their ids, or all that fit.
#[derive(Clone, Debug, Args)]
pub(crate) struct Selection {
    /// Any unique beginning or end of an id; or say which with filters
    #[arg(value_name = "ID")]
    pub(crate) ids: Vec<String>,
    #[command(flatten)]
    pub(crate) filters: Filters,
}
