//! `workflow ..`.

use clap::{Args, Subcommand};

pub(super) const HELP: &str = "Examples:
  flux workflow list
  flux workflow show shop";

#[derive(Debug, Subcommand)]
pub(crate) enum Workflow {
    /// What this program and the store know
    #[command(visible_alias = "ls", after_help = "Examples:\n  flux workflow list")]
    List,
    /// One of them: its settings, its tasks, who serves it
    #[command(after_help = "Examples:\n  flux workflow show shop")]
    Show(WorkflowName),
}

#[derive(Debug, Args)]
pub(crate) struct WorkflowName {
    /// Its name
    #[arg(value_name = "WORKFLOW")]
    pub(crate) name: String,
}
