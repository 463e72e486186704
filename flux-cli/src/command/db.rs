//! `db ..`: the store as a whole.

use std::fmt::Write as _;
use std::path::Path;

use anstyle::AnsiColor;
use flux_core::store::{BackedUp, Maintenance, Problem, StoreInfo};
use flux_core::{Error, maintain};
use serde::Serialize;

use crate::args::Db;
use crate::exit::{Exit, Failure, Outcome};
use crate::output::paint;
use crate::session::Session;

pub(super) async fn db(session: &Session, args: Db) -> Outcome {
    let store = maintain(Some(&session.place.location))?;
    match args {
        Db::Info => info(session, &*store).await,
        Db::Check => check(session, &*store).await,
        Db::Migrate => migrate(session, &*store).await,
        Db::Backup(args) => backup(session, &*store, &args.file).await,
    }
}

async fn info(session: &Session, store: &dyn Maintenance) -> Outcome {
    let info = store.info().await.map_err(Error::from)?;
    session.output.value(&info, || info_text(&info))?;
    Ok(Exit::Done)
}

fn info_text(info: &StoreInfo) -> String {
    let mut text = String::new();
    let mut fact = |name: &str, value: String| {
        let _ = writeln!(text, "{name:<12} {value}");
    };
    fact("store", info.location.clone());
    fact("kind", format!("{}, {}", info.kind, info.library));
    let schema = match info.schema {
        None => format!("none yet; this program makes version {}", info.schema_known),
        Some(found) if found == info.schema_known => format!("version {found}"),
        Some(found) => format!("version {found}; this program knows {}", info.schema_known),
    };
    fact("tables", schema);
    fact(
        "size",
        format!(
            "{}, and {} of log",
            bytes(info.size_bytes),
            bytes(info.wal_bytes)
        ),
    );
    let Some(contents) = &info.contents else {
        return text;
    };
    let all: u64 = contents.executions.values().sum();
    let statuses: Vec<String> = contents
        .executions
        .iter()
        .filter(|(_, count)| **count > 0)
        .map(|(status, count)| format!("{count} {}", status.as_str().to_lowercase()))
        .collect();
    let statuses = if statuses.is_empty() {
        String::new()
    } else {
        format!(": {}", statuses.join(", "))
    };
    fact("executions", format!("{all}{statuses}"));
    fact("messages", contents.messages.to_string());
    fact("queues", contents.queues.to_string());
    fact("schedules", contents.schedules.to_string());
    fact(
        "workers",
        format!(
            "{} alive, {} dead",
            contents.workers_alive, contents.workers_dead
        ),
    );
    text
}

/// A size as people say it.
fn bytes(count: u64) -> String {
    const UNITS: [&str; 4] = ["KiB", "MiB", "GiB", "TiB"];
    if count < 1024 {
        return format!("{count} B");
    }
    let mut rest = count;
    let mut unit = 0;
    while rest >= 1024 * 1024 && unit + 1 < UNITS.len() {
        rest /= 1024;
        unit += 1;
    }
    format!(
        "{}.{} {}",
        rest / 1024,
        rest % 1024 * 10 / 1024,
        UNITS[unit]
    )
}

/// What a check found.
#[derive(Serialize)]
struct Checked<'a> {
    is_whole: bool,
    problems: &'a [Problem],
}

async fn check(session: &Session, store: &dyn Maintenance) -> Outcome {
    let problems = store.check().await.map_err(Error::from)?;
    let checked = Checked {
        is_whole: problems.is_empty(),
        problems: &problems,
    };
    session.output.value(&checked, || check_text(&problems))?;
    if problems.is_empty() {
        return Ok(Exit::Done);
    }
    Ok(Exit::Operational)
}

fn check_text(problems: &[Problem]) -> String {
    if problems.is_empty() {
        return paint(
            AnsiColor::Green.on_default(),
            "whole: nothing wrong was found",
        );
    }
    let mut text = String::new();
    for problem in problems {
        let what = paint(AnsiColor::Red.on_default(), problem.what);
        let of = problem.execution.as_ref().map(|id| format!(" of {id}"));
        let _ = writeln!(
            text,
            "{what}{}: {}",
            of.unwrap_or_default(),
            problem.message
        );
    }
    text
}

async fn migrate(session: &Session, store: &dyn Maintenance) -> Outcome {
    let migrated = store.migrate().await.map_err(Error::from)?;
    session.output.value(&migrated, || match migrated.from {
        None => format!("made the tables, version {}", migrated.to),
        Some(from) if from == migrated.to => format!("the tables have version {from} already"),
        Some(from) => format!("brought the tables from version {from} to {}", migrated.to),
    })?;
    Ok(Exit::Done)
}

async fn backup(session: &Session, store: &dyn Maintenance, to: &Path) -> Outcome {
    let copy = store
        .backup(to)
        .await
        .map_err(|error| Failure::from(Error::from(error)))?;
    session.output.value(&copy, || backup_text(&copy))?;
    Ok(Exit::Done)
}

fn backup_text(copy: &BackedUp) -> String {
    format!("wrote {}, {}", copy.path.display(), bytes(copy.bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_said_in_their_unit() {
        for (count, text) in [
            (0, "0 B"),
            (1023, "1023 B"),
            (1536, "1.5 KiB"),
            (5 * 1024 * 1024, "5.0 MiB"),
            (3 * 1024 * 1024 * 1024 / 2, "1.5 GiB"),
        ] {
            assert_eq!(bytes(count), text);
        }
    }
}
