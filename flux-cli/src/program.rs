//! From the words of the command line to an exit code.

use std::io::IsTerminal;
use std::sync::Mutex;
use std::time::Duration;
use std::{env, io, process, thread};

use anstyle::AnsiColor;
use clap::parser::ValueSource;
use clap::{ArgMatches, CommandFactory, FromArgMatches};
use tracing::level_filters::LevelFilter;

use crate::args::{Cli, Color, Command, Global};
use crate::exit::{Exit, Failure};
use crate::output::{Format, Output, paint, printable};
use crate::place::Place;
use crate::session::{self, Configure, Session};
use crate::{command, help, logs};

/// How long bodies that cannot be dropped keep the process from ending.
const CLOSING: Duration = Duration::from_secs(2);

/// Exit code of a panic, as the standard library has it.
const PANICKED: i32 = 101;

/// Runs the command of this process and ends it.
pub(crate) fn run(configure: Option<Configure>) -> ! {
    let code = if tokio::runtime::Handle::try_current().is_ok() {
        // Called in an async `main`: a runtime cannot be blocked on inside another.
        thread::spawn(|| execute(configure))
            .join()
            .unwrap_or(PANICKED)
    } else {
        execute(configure)
    };
    process::exit(code)
}

/// The commands, with the name of this program and the grouped help.
pub(crate) fn commands() -> clap::Command {
    let name = session::program_name();
    help::grouped(Cli::command().name(name.clone()).bin_name(name))
}

fn execute(configure: Option<Configure>) -> i32 {
    let matches = match commands().try_get_matches() {
        Ok(matches) => matches,
        Err(error) => {
            let _ = error.print();
            return error.exit_code();
        }
    };
    let cli = match Cli::from_arg_matches(&matches) {
        Ok(cli) => cli,
        Err(error) => {
            let code = error.exit_code();
            let _ = error.format(&mut commands()).print();
            return code;
        }
    };
    set_color(cli.global.color);
    let outcome = session(&cli.global, &matches, configure)
        .and_then(|session| dispatch(&session, cli.command));
    match outcome {
        Ok(exit) => exit.code(),
        Err(failure) => {
            complain(&failure);
            failure.exit.code()
        }
    }
}

fn dispatch(session: &Session, command: Command) -> Result<Exit, Failure> {
    logs::show(level(session, &command), colors_on_stderr());
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::operational(format!("no threads to work with: {error}")))?;
    let outcome = runtime.block_on(command::run(session, command));
    // Whatever is still at work, after a Ctrl-C, goes on elsewhere. Only when all have let go of it is the store closed.
    runtime.shutdown_timeout(CLOSING);
    outcome
}

fn session(
    global: &Global,
    matches: &ArgMatches,
    configure: Option<Configure>,
) -> Result<Session, Failure> {
    let format = if global.json {
        Format::Json
    } else {
        global.output
    };
    let has_code = configure.is_some()
        || inventory::iter::<flux_core::WorkflowEntry>
            .into_iter()
            .next()
            .is_some();
    Ok(Session {
        output: Output {
            format,
            time: global.time,
            headers: !global.no_headers,
            width: width(),
            now: session::now()?,
        },
        place: Place::find(global.db.as_deref())?,
        has_code,
        is_default_format: !global.json && !was_given(matches, "output"),
        is_verbose: global.verbose > 0,
        is_quiet: global.quiet,
        is_sure: global.yes,
        program: session::program(),
        configure: Mutex::new(configure),
    })
}

/// Whether an option was given, before or after the subcommand.
fn was_given(matches: &ArgMatches, name: &str) -> bool {
    let here = matches.try_contains_id(name).is_ok()
        && matches.value_source(name) == Some(ValueSource::CommandLine);
    here || matches
        .subcommand()
        .is_some_and(|(_, matches)| was_given(matches, name))
}

/// How much of the log is shown: a worker's is what one runs it in a terminal for; of `status`, `--verbose` is about the
/// events.
fn level(session: &Session, command: &Command) -> LevelFilter {
    match command {
        _ if session.is_quiet => LevelFilter::ERROR,
        Command::Worker(_) if session.is_verbose => LevelFilter::DEBUG,
        Command::Worker(_) => LevelFilter::INFO,
        Command::Status(_) => LevelFilter::WARN,
        _ if session.is_verbose => LevelFilter::DEBUG,
        _ => LevelFilter::WARN,
    }
}

fn set_color(color: Color) {
    let choice = match color {
        Color::Auto => anstream::ColorChoice::Auto,
        Color::Always => anstream::ColorChoice::Always,
        Color::Never => anstream::ColorChoice::Never,
    };
    choice.write_global();
}

fn colors_on_stderr() -> bool {
    anstream::AutoStream::choice(&io::stderr()) != anstream::ColorChoice::Never
}

/// The width of the terminal that data goes to.
fn width() -> Option<u16> {
    if !io::stdout().is_terminal() {
        return None;
    }
    let asked = env::var("COLUMNS")
        .ok()
        .and_then(|columns| columns.parse().ok());
    asked.or_else(|| {
        terminal_size::terminal_size_of(io::stdout()).map(|(terminal_size::Width(width), _)| width)
    })
}

/// The lines of a message, with nothing in them that a terminal would obey.
fn lines(message: &str) -> String {
    let lines: Vec<_> = message.lines().map(printable).collect();
    lines.join("\n")
}

fn complain(failure: &Failure) {
    if failure.message.is_empty() {
        return;
    }
    let error = paint(AnsiColor::Red.on_default().bold(), "error:");
    anstream::eprintln!("{error} {}", lines(&failure.message));
    if let Some(hint) = &failure.hint {
        let word = paint(AnsiColor::Cyan.on_default().bold(), "hint:");
        anstream::eprintln!("{word} {hint}");
    }
}
