//! What changes executions that are there.

use clap::Args;

use super::{Selection, Watching};

pub(super) const SIGNAL: &str = "Examples:
  flux signal 01a2b3c4d5e6 approved '{\"by\": \"ada\"}'
  flux signal 01a2b3c4d5e6 paid --dedup invoice-7    harmless to repeat";

pub(super) const RESUME: &str = "Examples:
  flux resume 01a2b3c4d5e6                   answers the pause point that waits
  flux resume 01a2b3c4d5e6 '{\"ok\": true}'    .. with a value
  flux resume 01a2b3c4d5e6 --at review       .. that one; never the next by accident
  flux resume --status failed --workflow shop    all that fit, after asking

A program with the workflow's code drives it here, until it finishes or pauses again. Without the code it asks a worker \
to, and waits only with `--wait` or `--follow`.";

pub(super) const PAUSE: &str = "Examples:
  flux pause 01a2b3c4d5e6                    until `flux resume`
  flux pause --status running --workflow shop";

pub(super) const CANCEL: &str = "Examples:
  flux cancel 01a2b3c4d5e6
  flux cancel --status running --workflow shop       asks first
  flux cancel --status running --workflow shop -y    does not";

pub(super) const TERMINATE: &str = "Examples:
  flux terminate 01a2b3c4d5e6 --reason 'wrong customer'
  flux terminate --status paused --since 7d --reason stale -y";

pub(super) const RETRY: &str = "Examples:
  flux retry 01a2b3c4d5e6
  flux retry --status failed --workflow shop
  flux retry --status failed --rolled-back

What succeeded is kept, and the calls whose error escaped run again. Two kinds of failed executions are different, and `flux \
show` says so of each:

- One that was rolled back begins its code again: what was undone runs again under new idempotency keys, and a person is asked \
again at pause points, unless the workflow keeps their answers.
- One with an unknown outcome (an `at_most_once` task that was cut off) runs that body again, which may have done its work.

With filters, both are left out unless `--rolled-back` or `--unknown-outcome` names them. Failed children whose parents have dealt with \
the failure are left out, too: name them by id.";

pub(super) const REPLAY: &str = "Examples:
  cargo run -- replay 01a2b3c4d5e6           executes nothing, writes nothing
  cargo run -- replay --workflow shop        all of them: a gate for CI

Exit codes: 0 the code fits, 7 it does not, with both sides.";

#[derive(Debug, Args)]
pub(crate) struct Signal {
    /// Any unique beginning or end of its id
    #[arg(value_name = "ID")]
    pub(crate) id: String,
    /// The name of the signal
    #[arg(value_name = "NAME")]
    pub(crate) name: String,
    /// Its value: JSON, `@file`, or `-` for standard input
    #[arg(value_name = "JSON")]
    pub(crate) value: Option<String>,
    /// Take one signal of this name per key, however often it is sent
    #[arg(long, value_name = "KEY")]
    pub(crate) dedup: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct Resume {
    /// Any unique beginning or end of its id; or say which with filters
    #[arg(value_name = "ID")]
    pub(crate) id: Option<String>,
    /// What the pause point is given: JSON, `@file`, or `-` for standard input
    #[arg(value_name = "JSON")]
    pub(crate) value: Option<String>,
    /// Answer this pause point and no other
    #[arg(long, value_name = "NAME", requires = "id")]
    pub(crate) at: Option<String>,
    #[command(flatten)]
    pub(crate) filters: super::Filters,
    #[command(flatten)]
    pub(crate) also: Also,
    #[command(flatten)]
    pub(crate) watching: Watching,
}

/// What filters leave out of failed executions unless it is named.
#[derive(Clone, Copy, Debug, Args)]
pub(crate) struct Also {
    /// With filters: also what was rolled back, which runs again under new keys
    #[arg(long)]
    pub(crate) rolled_back: bool,
    /// With filters: also what has an unknown outcome, whose body runs again
    #[arg(long)]
    pub(crate) unknown_outcome: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Retry {
    #[command(flatten)]
    pub(crate) selection: Selection,
    #[command(flatten)]
    pub(crate) also: Also,
    #[command(flatten)]
    pub(crate) watching: Watching,
}

#[derive(Debug, Args)]
pub(crate) struct Pause {
    #[command(flatten)]
    pub(crate) selection: Selection,
}

#[derive(Debug, Args)]
pub(crate) struct Cancel {
    #[command(flatten)]
    pub(crate) selection: Selection,
}

#[derive(Debug, Args)]
pub(crate) struct Terminate {
    #[command(flatten)]
    pub(crate) selection: Selection,
    /// Why; it is recorded
    #[arg(long, value_name = "TEXT")]
    pub(crate) reason: String,
}

#[derive(Debug, Args)]
pub(crate) struct Replay {
    #[command(flatten)]
    pub(crate) selection: Selection,
}
