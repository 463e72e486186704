//! `doctor`: looks for what is wrong, and says what to do about it.

use std::time::{Duration, SystemTime};

use anstyle::AnsiColor;
use flux_core::store::{StoreInfo, WorkerRecord};
use flux_core::{Engine, Error, Execution, Status, maintain};
use serde::Serialize;

use crate::exit::{Exit, Failure, Outcome};
use crate::ids::short;
use crate::output::{Cell, Column, Output, Row};
use crate::session::Session;
use crate::story::{Owners, has_news, is_obstructed, is_served, obstacle_note};

/// How many executions of each status are looked at.
const LOOKED_AT: usize = 500;

/// What is ready for longer than this is left alone.
const OVERDUE: Duration = Duration::from_mins(1);

/// A store up to this size is checked whole.
const SMALL: u64 = 256 * 1024 * 1024;

/// A log beyond this size is not being copied into the file.
const LARGE_LOG: u64 = 256 * 1024 * 1024;

/// One thing that was looked at.
#[derive(Clone, Debug, Serialize)]
struct Finding {
    check: &'static str,
    state: State,
    message: String,
    hint: Option<String>,
}

/// How it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum State {
    Good,
    /// Worth knowing.
    Note,
    Wrong,
}

impl Finding {
    fn new(check: &'static str, state: State, message: impl Into<String>) -> Self {
        Self {
            check,
            state,
            message: message.into(),
            hint: None,
        }
    }

    fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

pub(super) async fn doctor(session: &Session) -> Outcome {
    let store = maintain(Some(&session.place.location))?;
    let info = store.info().await.map_err(Error::from)?;
    let mut findings = vec![of_tables(&info), of_log(&info)];
    if info.schema == Some(info.schema_known) {
        findings.push(of_rows(session, &info).await?);
        let engine = session.look().await?;
        let workers = engine.workers().await?;
        findings.push(of_workers(&workers));
        findings.extend(of_executions(session, &engine, &workers).await?);
        findings.push(of_schedules(session, &engine, &workers).await?);
        findings.push(of_queues(session, &engine).await?);
    }
    session.output.rows(&findings)?;
    let is_wrong = findings.iter().any(|finding| finding.state == State::Wrong);
    Ok(if is_wrong {
        Exit::Operational
    } else {
        Exit::Done
    })
}

fn of_tables(info: &StoreInfo) -> Finding {
    match info.schema {
        Some(found) if found == info.schema_known => Finding::new(
            "store",
            State::Good,
            format!("{}, tables of version {found}", info.location),
        ),
        Some(found) if found > info.schema_known => Finding::new(
            "store",
            State::Wrong,
            format!(
                "its tables have version {found}, this program knows {}",
                info.schema_known
            ),
        )
        .hint("use a newer program"),
        _ => Finding::new(
            "store",
            State::Wrong,
            "its tables are older than this program",
        )
        .hint("`flux db migrate` brings them up to date"),
    }
}

fn of_log(info: &StoreInfo) -> Finding {
    if info.wal_bytes > LARGE_LOG {
        return Finding::new(
            "log",
            State::Wrong,
            format!(
                "the write-ahead log has {} MiB",
                info.wal_bytes / 1024 / 1024
            ),
        )
        .hint("some program has held a read transaction open for long: end it");
    }
    Finding::new("log", State::Good, "the write-ahead log is small")
}

async fn of_rows(session: &Session, info: &StoreInfo) -> Result<Finding, Failure> {
    if info.size_bytes > SMALL {
        return Ok(
            Finding::new("rows", State::Note, "not looked at: the store is large")
                .hint(session.command(&["db", "check"])),
        );
    }
    let store = maintain(Some(&session.place.location))?;
    let problems = store.check().await.map_err(Error::from)?;
    Ok(match problems.first() {
        None => Finding::new("rows", State::Good, "every history is whole"),
        Some(first) => Finding::new(
            "rows",
            State::Wrong,
            format!("{} problems, the first: {}", problems.len(), first.message),
        )
        .hint(session.command(&["db", "check"])),
    })
}

fn of_workers(workers: &[WorkerRecord]) -> Finding {
    let alive = workers.iter().filter(|worker| worker.is_alive);
    let serving = alive.filter(|worker| worker.serves.is_some()).count();
    let orphaned: u64 = workers
        .iter()
        .filter(|worker| !worker.is_alive)
        .map(|worker| worker.owns)
        .sum();
    match (serving, orphaned) {
        (0, 0) => Finding::new("workers", State::Note, "none is serving"),
        (0, orphaned) => Finding::new(
            "workers",
            State::Wrong,
            match orphaned {
                1 => "none is serving, and an execution waits whose process died".to_owned(),
                _ => format!("none is serving, and {orphaned} executions wait whose process died"),
            },
        )
        .hint("start a worker in the program that has their code"),
        (serving, _) => Finding::new("workers", State::Good, format!("{serving} serving")),
    }
}

/// Executions that wait for nobody, that are left alone, that are on hold.
async fn of_executions(
    session: &Session,
    engine: &Engine,
    workers: &[WorkerRecord],
) -> Result<Vec<Finding>, Failure> {
    let list = async |status| engine.list().status(status).limit(LOOKED_AT).await;
    let mut live = list(Status::Pending).await?;
    live.extend(list(Status::Running).await?);
    let paused = list(Status::Paused).await?;
    let now = session.output.now;
    let owners = Owners::among(workers);
    let news = paused.iter().filter(|execution| has_news(execution, now));
    let waiting: Vec<&Execution> = live
        .iter()
        .filter(|execution| owners.is_alive(execution) != Some(true))
        .chain(news)
        .collect();
    let unserved: Vec<&Execution> = waiting
        .iter()
        .copied()
        .filter(|execution| !is_served(execution, workers))
        .collect();
    let stuck: Vec<&Execution> = live
        .iter()
        .filter(|execution| is_overdue(execution, now) && is_served(execution, workers))
        .filter(|execution| execution.obstacle().is_none())
        .collect();
    let all = live.iter().chain(&paused);
    let obstructed: Vec<&Execution> = all.filter(|execution| is_obstructed(execution)).collect();
    let held: Vec<&Execution> = paused
        .iter()
        .filter(|execution| execution.held().is_some())
        .collect();
    Ok(vec![
        about(
            "served",
            State::Wrong,
            &unserved,
            &Words {
                none: if waiting.is_empty() {
                    "no execution waits for a worker"
                } else {
                    "every execution that waits for a worker has one"
                },
                one: "waits for a worker that nobody runs",
                many: "wait for a worker that nobody runs",
            },
            "start one in the program that has their code",
        ),
        about(
            "taken",
            State::Wrong,
            &stuck,
            &Words {
                none: "nothing that is ready is left alone",
                one: "is ready and left alone by the workers that serve it",
                many: "are ready and left alone by the workers that serve them",
            },
            "their log says why: changed code, a limit of a queue, a full gate",
        ),
        of_obstacles(&obstructed),
        about(
            "held",
            State::Note,
            &held,
            &Words {
                none: "no execution is on hold",
                one: "is on hold",
                many: "are on hold",
            },
            "`flux show` says why, `flux resume` lets them go on",
        ),
    ])
}

/// Executions that a process met something with that it cannot get past.
fn of_obstacles(obstructed: &[&Execution]) -> Finding {
    let words = Words {
        none: "nothing is known to keep an execution from continuing",
        one: "cannot continue",
        many: "cannot continue",
    };
    let hint = "`flux show` says more, and `replay` where code and history part";
    let mut finding = about("obstacles", State::Wrong, obstructed, &words, hint);
    if let Some(note) = obstructed.first().and_then(|first| obstacle_note(first)) {
        let why = note.trim_start_matches("cannot continue: ");
        finding.message = format!("{}: {why}", finding.message);
    }
    finding
}

fn is_overdue(execution: &Execution, now: SystemTime) -> bool {
    let is_limited = execution.status() == Status::Pending && execution.queue().is_some();
    let ready = execution
        .ready_at()
        .filter(|_| execution.worker().is_none() && !is_limited);
    ready.is_some_and(|ready| now.duration_since(ready).is_ok_and(|late| late > OVERDUE))
}

/// What is said of executions that there had better be none of, by how many there are.
struct Words {
    none: &'static str,
    one: &'static str,
    many: &'static str,
}

/// What is to be said of executions that there had better be none of.
fn about(
    check: &'static str,
    state: State,
    executions: &[&Execution],
    words: &Words,
    hint: &str,
) -> Finding {
    let Some(first) = executions.first() else {
        return Finding::new(check, State::Good, words.none);
    };
    let example = format!("{} of `{}`", short(first.execution_id()), first.workflow());
    let message = match executions.len() {
        1 => format!("{example} {}", words.one),
        count => format!("{count} executions {}: {example} for one", words.many),
    };
    Finding::new(check, state, message).hint(hint)
}

async fn of_schedules(
    session: &Session,
    engine: &Engine,
    workers: &[WorkerRecord],
) -> Result<Finding, Failure> {
    let schedules = engine.schedules().await?;
    let now = session.output.now;
    let late = schedules.iter().find(|schedule| {
        let next = schedule.next_at().filter(|_| !schedule.is_paused());
        next.is_some_and(|next| now.duration_since(next).is_ok_and(|late| late > OVERDUE))
    });
    let Some(late) = late else {
        let message = format!("{} schedules, none late", schedules.len());
        return Ok(Finding::new("schedules", State::Good, message));
    };
    let (id, workflow) = (late.id(), late.workflow());
    let (why, hint) = if runs_somewhere(workflow, workers) {
        (
            format!("a worker that has `{workflow}` runs, but does not start it"),
            "see whether the clock of the worker is behind, and what its log says",
        )
    } else {
        (format!("no worker that has `{workflow}` runs"), "start one")
    };
    Ok(Finding::new("schedules", State::Wrong, format!("`{id}` is late: {why}")).hint(hint))
}

/// Whether a living worker has the code of a workflow.
fn runs_somewhere(workflow: &str, workers: &[WorkerRecord]) -> bool {
    let alive = workers.iter().filter(|worker| worker.is_alive);
    let mut code = alive
        .filter_map(|worker| worker.serves.as_ref())
        .flat_map(|serves| &serves.code);
    code.any(|code| *code.workflow == *workflow)
}

async fn of_queues(session: &Session, engine: &Engine) -> Result<Finding, Failure> {
    let queues = engine.queues().await?;
    let stopped = queues.iter().find(|queue| {
        let settings = &queue.settings;
        queue.pending > 0 && (settings.is_paused || settings.concurrency == Some(0))
    });
    Ok(match stopped {
        None => Finding::new(
            "queues",
            State::Good,
            format!("{} queues, none stopped with work in it", queues.len()),
        ),
        Some(queue) => Finding::new(
            "queues",
            State::Note,
            format!(
                "`{}` starts nothing, and {} wait{} in it",
                queue.name,
                queue.pending,
                if queue.pending == 1 { "s" } else { "" }
            ),
        )
        .hint(session.command(&["queue", "resume", &queue.name])),
    })
}

impl Row for Finding {
    const COLUMNS: &'static [Column] = &[
        Column::new("CHECK"),
        Column::new("STATE"),
        Column::new("FOUND").wraps(),
    ];

    fn id(&self) -> String {
        self.check.to_owned()
    }

    fn cells(&self, _: &Output) -> Vec<Cell> {
        let (word, color) = match self.state {
            State::Good => ("good", AnsiColor::Green),
            State::Note => ("note", AnsiColor::Yellow),
            State::Wrong => ("wrong", AnsiColor::Red),
        };
        let hint = self.hint.as_deref().map(|hint| format!("; {hint}"));
        vec![
            Cell::from(self.check),
            Cell::styled(word, color.on_default()),
            Cell::from(format!("{}{}", self.message, hint.unwrap_or_default())),
        ]
    }
}
