//! The log, on standard error: warnings, and with `-v` more.

use std::io;

use tracing::level_filters::LevelFilter;
use tracing_subscriber::fmt;

/// Shows log lines from this level on. A program that has set up its own log keeps it.
pub(crate) fn show(level: LevelFilter, color: bool) {
    let log = fmt()
        .with_max_level(level)
        .with_ansi(color)
        .with_writer(io::stderr)
        .with_target(level >= LevelFilter::DEBUG)
        .finish();
    let _ = tracing::subscriber::set_global_default(log);
}
