//! The log, on standard error: warnings, and with `-v` more.

use std::io;

use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt;
use tracing_subscriber::layer::SubscriberExt;

/// What becomes of executions: a worker's log is about that. Any other command says itself what came of those it was
/// called for.
const EXECUTIONS: &str = "flux::execution";

/// Shows log lines from this level on. A program that has set up its own log keeps it.
pub(crate) fn show(level: LevelFilter, color: bool) {
    let executions = if level > LevelFilter::WARN {
        level
    } else {
        LevelFilter::OFF
    };
    let shown = Targets::new()
        .with_default(level)
        .with_target(EXECUTIONS, executions);
    let lines = fmt::layer()
        .with_ansi(color)
        .with_writer(io::stderr)
        .with_target(level >= LevelFilter::DEBUG);
    let log = tracing_subscriber::registry().with(shown).with(lines);
    let _ = tracing::subscriber::set_global_default(log);
}
