//! `db ..`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

pub(super) const HELP: &str = "Examples:
  flux db info
  flux --db orders.db db check
  flux --db orders.db db backup /backups/orders.db";

#[derive(Debug, Subcommand)]
pub(crate) enum Db {
    /// Where it is, how large, what is in it
    #[command(after_help = "Examples:\n  flux db info -o json")]
    Info,
    /// Whether it is whole; exit code 1 where it is not
    #[command(after_help = "Examples:\n  flux db check")]
    Check,
    /// Bring it to this version; create it where there is none
    #[command(after_help = "Examples:\n  flux db migrate")]
    Migrate,
    /// Copy it to a new file, also while others write
    #[command(after_help = "Examples:\n  flux db backup /backups/orders.db")]
    Backup(Target),
}

#[derive(Debug, Args)]
pub(crate) struct Target {
    /// The new file
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,
}
