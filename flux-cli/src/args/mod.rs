//! The command line: what can be said. What is done is in `command`, a file per word.

mod db;
mod queue;
mod schedule;
mod select;
mod start;
mod steer;
mod workflow;

use clap::{ArgAction, Args, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;

use crate::output::{Format, TimeStyle};

pub(crate) use db::Db;
pub(crate) use queue::{Limit, Limits, Queue};
pub(crate) use schedule::{Backfill, Moments, NewSchedule, Schedule};
pub(crate) use select::{Filters, Selection};
pub(crate) use start::{Beginning, Run, Start, Watching, Worker, WorkerCommand};
pub(crate) use steer::{Also, Cancel, Pause, Replay, Resume, Retry, Signal, Terminate};
pub(crate) use workflow::Workflow;

/// See, start and steer durable executions.
#[derive(Debug, Parser)]
#[command(
    version,
    disable_help_subcommand = false,
    arg_required_else_help = true
)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Global options")]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of its own")]
pub(crate) struct Global {
    /// The store: a path or a URL [default: $FLUX_STORE, flux.toml, ./flux.db]
    #[arg(long, global = true, value_name = "PATH|URL")]
    pub(crate) db: Option<String>,
    /// How things are printed
    #[arg(
        short,
        long,
        global = true,
        value_enum,
        default_value_t,
        hide_possible_values = true,
        value_name = "table|wide|json|jsonl|id"
    )]
    pub(crate) output: Format,
    /// Short for `--output json`
    #[arg(long, global = true, conflicts_with = "output")]
    pub(crate) json: bool,
    /// How moments are shown in tables
    #[arg(
        long,
        global = true,
        value_enum,
        default_value_t,
        hide_possible_values = true,
        value_name = "relative|iso|local"
    )]
    pub(crate) time: TimeStyle,
    /// Whether to use colours; `$NO_COLOR` turns `auto` off
    #[arg(
        long,
        global = true,
        value_enum,
        default_value_t,
        hide_possible_values = true,
        value_name = "auto|always|never"
    )]
    pub(crate) color: Color,
    /// Say less: no hints, no progress
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    pub(crate) quiet: bool,
    /// Say more; twice: much more
    #[arg(short, long, global = true, action = ArgAction::Count)]
    pub(crate) verbose: u8,
    /// Do not ask
    #[arg(short, long, global = true)]
    pub(crate) yes: bool,
    /// Tables without a first line of names
    #[arg(long, global = true)]
    pub(crate) no_headers: bool,
}

/// Whether to use colours.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Color {
    #[default]
    Auto,
    Always,
    Never,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Executions, newest first
    #[command(visible_alias = "ls", after_help = LIST)]
    List(List),
    /// Where is it, what happened, what can I do
    #[command(after_help = SHOW)]
    Show(Show),
    /// The latest of a workflow, in brief
    #[command(after_help = STATUS)]
    Status(StatusOf),
    /// What an execution returned
    #[command(name = "result", after_help = RESULT)]
    Result(ResultOf),
    /// The history, event by event
    #[command(after_help = EVENTS)]
    Events(Events),
    /// Start one; with its code here, drive it
    #[command(after_help = start::RUN)]
    Run(Run),
    /// Record one for a worker, and return
    #[command(after_help = start::START)]
    Start(Start),
    /// Drive what is ready; list who does
    #[command(after_help = start::WORKER)]
    Worker(Worker),
    /// Send a signal
    #[command(after_help = steer::SIGNAL)]
    Signal(Signal),
    /// Go on with what paused or failed
    #[command(after_help = steer::RESUME)]
    Resume(Resume),
    /// Keep from going on
    #[command(after_help = steer::PAUSE)]
    Pause(Pause),
    /// Ask to end, and let it clean up
    #[command(after_help = steer::CANCEL)]
    Cancel(Cancel),
    /// End without running its code
    #[command(after_help = steer::TERMINATE)]
    Terminate(Terminate),
    /// Try again what failed
    #[command(after_help = steer::RETRY)]
    Retry(Retry),
    /// When workflows start by themselves
    #[command(subcommand, after_help = schedule::HELP)]
    Schedule(Schedule),
    /// What there is to run
    #[command(subcommand, after_help = workflow::HELP)]
    Workflow(Workflow),
    /// Queues and their limits
    #[command(subcommand, after_help = queue::HELP)]
    Queue(Queue),
    /// The store: look, check, back up
    #[command(subcommand, after_help = db::HELP)]
    Db(Db),
    /// Today's code against a history
    #[command(after_help = steer::REPLAY)]
    Replay(Replay),
    /// A new project that runs at once
    #[command(after_help = INIT)]
    Init(Init),
    /// Look for what is wrong
    #[command(after_help = DOCTOR)]
    Doctor,
    /// Completions for a shell
    #[command(after_help = COMPLETIONS)]
    Completions(Completions),
    /// The manual page
    #[command(after_help = MAN)]
    Man,
}

const LIST: &str = "Examples:
  flux list                                  the newest 50
  flux list --status failed --since 24h      what failed since yesterday
  flux list --workflow shop -o id            ids alone, for scripts
  flux list --limit 100 --before 01a2b3c4d5e6   the next page

Exit codes: 0 also where there is none, 3 unknown id for `--before` or `--parent`.";

const SHOW: &str = "Examples:
  flux show 01a2b3c4d5e6                     any unique beginning or end of an id
  flux show 01a2b3c4d5e6 --events --io       the history, with inputs and outputs
  flux show 01a2b3c4d5e6 --tree              its children, and theirs
  flux show 01a2b3c4d5e6 --follow            each event as it happens";

const STATUS: &str = "Examples:
  flux status shop                           the latest execution of `shop`
  flux status shop --id 01a2b3c4d5e6         that one
  flux status shop --verbose                 with its events
  flux status 01a2b3c4d5e6                   by id alone";

const RESULT: &str = "Examples:
  flux result 01a2b3c4d5e6                   its output, as JSON
  flux result 01a2b3c4d5e6 --wait            once it has finished
  flux result 01a2b3c4d5e6 --wait --timeout 5m

Exit codes: 0 completed, 4 failed, 5 cancelled or terminated, 6 not finished or paused.";

const EVENTS: &str = "Examples:
  flux events 01a2b3c4d5e6
  flux events 01a2b3c4d5e6 -f                as they happen, until it finishes or pauses
  flux events 01a2b3c4d5e6 -o jsonl | jq .kind";

const INIT: &str = "Examples:
  flux init shop --tasks reserve,charge      a folder `shop` with a program in it
  cd shop && cargo run -- run shop --follow";

const DOCTOR: &str = "Examples:
  flux doctor                                exit code 1 where something is wrong";

const COMPLETIONS: &str = "Examples:
  flux completions bash > ~/.local/share/bash-completion/completions/flux
  flux completions zsh > ~/.zfunc/_flux";

const MAN: &str = "Examples:
  flux man | man -l -";

#[derive(Debug, Args)]
pub(crate) struct List {
    #[command(flatten)]
    pub(crate) filters: Filters,
    /// Only the children of this execution
    #[arg(long, value_name = "ID")]
    pub(crate) parent: Option<String>,
    /// At most this many
    #[arg(short = 'n', long, default_value_t = 50, value_name = "N")]
    pub(crate) limit: usize,
    /// Only those created before this one: the next page
    #[arg(long, value_name = "ID")]
    pub(crate) before: Option<String>,
}

#[derive(Debug, Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of its own")]
pub(crate) struct Show {
    /// Any unique beginning or end of its id
    #[arg(value_name = "ID")]
    pub(crate) id: String,
    /// Show each event of its history
    #[arg(long)]
    pub(crate) events: bool,
    /// Show inputs and outputs
    #[arg(long)]
    pub(crate) io: bool,
    /// Show its children, and theirs
    #[arg(long)]
    pub(crate) tree: bool,
    /// Then print each event as it happens, until it finishes or pauses
    #[arg(short, long)]
    pub(crate) follow: bool,
}

#[derive(Debug, Args)]
pub(crate) struct StatusOf {
    /// A workflow, or any unique beginning or end of an id
    #[arg(value_name = "WORKFLOW|ID")]
    pub(crate) name: String,
    /// This execution of it, not the latest
    #[arg(long, value_name = "ID")]
    pub(crate) id: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct ResultOf {
    /// Any unique beginning or end of its id
    #[arg(value_name = "ID")]
    pub(crate) id: String,
    /// Wait until it finishes or pauses
    #[arg(long)]
    pub(crate) wait: bool,
    /// Wait no longer than this
    #[arg(long, value_name = "SPAN", requires = "wait", value_parser = humantime::parse_duration)]
    pub(crate) timeout: Option<std::time::Duration>,
}

#[derive(Debug, Args)]
pub(crate) struct Events {
    /// Any unique beginning or end of its id
    #[arg(value_name = "ID")]
    pub(crate) id: String,
    /// Go on with each event as it happens, until it finishes or pauses
    #[arg(short, long)]
    pub(crate) follow: bool,
    /// Show inputs and outputs
    #[arg(long)]
    pub(crate) io: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Init {
    /// The name of the project and of its workflow
    #[arg(value_name = "NAME")]
    pub(crate) name: String,
    /// Its tasks, in order
    #[arg(long, value_delimiter = ',', required = true, value_name = "A,B,..")]
    pub(crate) tasks: Vec<String>,
}

#[derive(Debug, Args)]
pub(crate) struct Completions {
    /// Which shell
    #[arg(value_enum, value_name = "SHELL")]
    pub(crate) shell: Shell,
}
