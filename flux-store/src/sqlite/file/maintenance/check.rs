//! What must not be, found by looking at everything.

use std::path::Path;

use flux_core::event::EventKind;
use flux_core::execution::Status;
use flux_core::id::ExecutionId;
use flux_core::store::{Problem, StoreError};
use rusqlite::{Connection, ErrorCode, Row, named_params};

use super::source::{Source, is_known};
use crate::sqlite::error::breaks_connection;
use crate::sqlite::file::migrate;

pub(super) const ACTION: &str = "check the file";

/// Something that must not be.
struct Check {
    /// The word for it.
    what: &'static str,
    /// The version of the tables from which on there is anything to look at.
    since: u32,
    /// Selects an execution's id, or nothing, and what to say. Knows the words of [`WORDS`].
    select: &'static str,
}

/// Everything that must not be. What an inbox holds of one that has finished is no problem: nobody took it in time, and
/// one that failed may be resumed.
const CHECKS: [Check; 12] = [
    Check {
        what: "history_start",
        since: 1,
        select: "SELECT x.id, printf('its history begins with event %d, not with 1', min(e.key) & 16777215)
            FROM flux_executions AS x CROSS JOIN flux_events AS e
                ON e.key BETWEEN x.eid << 24 AND (x.eid << 24) + 16777215
            GROUP BY x.eid HAVING min(e.key) & 16777215 <> 1",
    },
    Check {
        what: "history_gap",
        since: 1,
        select: "SELECT x.id, printf('its history has %d events from %d to %d: some are missing',
                count(*), min(e.key) & 16777215, max(e.key) & 16777215)
            FROM flux_executions AS x CROSS JOIN flux_events AS e
                ON e.key BETWEEN x.eid << 24 AND (x.eid << 24) + 16777215
            GROUP BY x.eid HAVING count(*) <> max(e.key) - min(e.key) + 1",
    },
    Check {
        what: "history_missing",
        since: 1,
        select: "SELECT x.id, 'it has no history' FROM flux_executions AS x
            WHERE NOT EXISTS (SELECT 1 FROM flux_events
                WHERE key BETWEEN x.eid << 24 AND (x.eid << 24) + 16777215)",
    },
    Check {
        what: "event_without_execution",
        since: 1,
        select: "SELECT NULL, printf('%d events are of number %d, which is no execution', count(*), key >> 24)
            FROM flux_events
            WHERE NOT EXISTS (SELECT 1 FROM flux_executions WHERE eid = key >> 24) GROUP BY key >> 24",
    },
    Check {
        what: "end_missing",
        since: 1,
        select: "SELECT x.id, printf('it is %s, but its last event is %s',
                (SELECT word FROM statuses WHERE code = x.status),
                ifnull((SELECT word FROM kinds WHERE code = x.last), x.last))
            FROM ends CROSS JOIN last_events AS x ON x.status = ends.status WHERE x.last <> ends.kind",
    },
    Check {
        what: "end_unexpected",
        since: 1,
        select: "SELECT x.id, printf('it is %s, but its last event is %s',
                ifnull((SELECT word FROM statuses WHERE code = x.status), x.status),
                (SELECT word FROM kinds WHERE code = x.last))
            FROM last_events AS x
            WHERE x.status NOT IN (SELECT status FROM ends) AND x.last IN (SELECT kind FROM ends)",
    },
    Check {
        what: "unknown_status",
        since: 1,
        select: "SELECT id, printf('its status is %d, which this program does not know', status)
            FROM flux_executions WHERE status NOT IN (SELECT code FROM statuses)",
    },
    Check {
        what: "unknown_event",
        since: 1,
        select: "SELECT (SELECT id FROM flux_executions WHERE eid = key >> 24),
                printf('event %d is of kind %d, which this program does not know', key & 16777215, kind)
            FROM flux_events WHERE kind NOT IN (SELECT code FROM kinds)",
    },
    Check {
        what: "message_without_execution",
        since: 1,
        select: "SELECT NULL, printf('message %d (`%s`) is for number %d, which is no execution', id, name, eid)
            FROM flux_inbox AS m
            WHERE NOT EXISTS (SELECT 1 FROM flux_executions AS x WHERE x.eid = m.eid)",
    },
    // The child of a call was created with it, unless the call was dropped in the same commit, took a result from before a
    // rewind, or was refused; an owner may be about to record the last.
    Check {
        what: "child_missing",
        since: 1,
        select: "SELECT x.id, printf('event %d says that it called child `%s`, and there is no such execution',
                c.key & 16777215, c.child)
            FROM (SELECT key, CASE WHEN json_valid(meta) THEN meta END ->> 'child' AS child,
                    CASE WHEN json_valid(meta) THEN meta END ->> 'when_parent_ends' AS policy
                FROM flux_events WHERE kind = (SELECT code FROM kinds WHERE word = 'CHILD_STARTED')) AS c
            CROSS JOIN flux_executions AS x ON x.eid = c.key >> 24
            WHERE c.child IS NOT NULL AND NOT EXISTS (SELECT 1 FROM flux_executions WHERE id = c.child)
            AND (x.owner IS NULL OR x.status IN (SELECT status FROM ends))
            AND NOT EXISTS (SELECT 1 FROM flux_events AS e JOIN kinds AS k ON k.code = e.kind
                WHERE e.key BETWEEN c.key AND (x.eid << 24) + 16777215 AND e.ref = c.key & 16777215
                AND (k.word = 'CALL_REUSED'
                    OR (k.word = 'CALL_CANCELLED' AND c.policy IS NOT 'abandon')
                    OR (k.word = 'CHILD_FAILED' AND json_valid(e.payload) AND e.payload ->> 'attempts' = 0)))",
    },
    Check {
        what: "row_without_execution",
        since: 1,
        select: "SELECT NULL, printf('`%s` of `%s` is of number %d, which is no execution', name, held_by, eid)
            FROM (SELECT eid, name, 'flux_dedup' AS held_by FROM flux_dedup
                UNION ALL SELECT eid, name, 'flux_published' FROM flux_published) AS r
            WHERE NOT EXISTS (SELECT 1 FROM flux_executions AS x WHERE x.eid = r.eid)",
    },
    Check {
        what: "tag_without_execution",
        since: 2,
        select: "SELECT NULL, printf('tag `%s` is of number %d, which is no execution', tag, eid)
            FROM flux_tags AS t
            WHERE NOT EXISTS (SELECT 1 FROM flux_executions AS x WHERE x.eid = t.eid)",
    },
];

/// What a check may speak of: the numbers that are stored and what they are called, which end belongs to which status,
/// and the last events.
const WORDS: &str = "WITH
    kinds AS (SELECT value ->> 0 AS code, value ->> 1 AS word FROM json_each(:kinds)),
    statuses AS (SELECT value ->> 0 AS code, value ->> 1 AS word FROM json_each(:statuses)),
    ends AS (SELECT value ->> 0 AS status, value ->> 1 AS kind FROM json_each(:ends)),
    last_events AS (
        SELECT id, status, (SELECT kind FROM flux_events
            WHERE key BETWEEN eid << 24 AND (eid << 24) + 16777215 ORDER BY key DESC LIMIT 1) AS last
        FROM flux_executions)";

/// The status that goes with each end.
const ENDS: [(Status, EventKind); 4] = [
    (Status::Completed, EventKind::WorkflowCompleted),
    (Status::Failed, EventKind::WorkflowFailed),
    (Status::Cancelled, EventKind::WorkflowCancelled),
    (Status::Terminated, EventKind::WorkflowTerminated),
];

/// The values of [`WORDS`].
struct Words {
    kinds: String,
    statuses: String,
    ends: String,
}

impl Words {
    fn new() -> Self {
        let kinds = EventKind::ALL.iter();
        let kinds: Vec<_> = kinds.map(|kind| (kind.code(), kind.as_str())).collect();
        let statuses = Status::ALL.map(|status| (status.code(), status.as_str()));
        let ends = ENDS.map(|(status, kind)| (status.code(), kind.code()));
        Self {
            kinds: serde_json::json!(kinds).to_string(),
            statuses: serde_json::json!(statuses).to_string(),
            ends: serde_json::json!(ends).to_string(),
        }
    }
}

/// Looks for everything that must not be.
pub(super) fn check(path: &Path) -> Result<Vec<Problem>, StoreError> {
    let source = Source::open(path, ACTION)?;
    let schema = source.schema.unwrap_or(0);
    if source.schema.is_some() && !is_known(schema) {
        let reason = format!(
            "its tables have version {schema}, this program knows {known}: check it with the Flux that wrote it",
            known = migrate::KNOWN
        );
        return Err(source.blame.plain(ACTION, reason));
    }
    source.read(|view| {
        let mut problems = damage(view)?;
        match invariants(view, schema) {
            Ok(broken) => problems.extend(broken),
            // What cannot be read has been found already.
            Err(error) if breaks_connection(&error) && !problems.is_empty() => {}
            Err(error) => return Err(error),
        }
        Ok(problems)
    })
}

/// What SQLite itself finds: pages, indexes, types. Where it cannot even look, that is what it finds.
fn damage(view: &Connection) -> rusqlite::Result<Vec<Problem>> {
    let mut select = view.prepare("PRAGMA integrity_check")?;
    let mut said = select.query([])?;
    let mut problems = Vec::new();
    loop {
        let message: String = match said.next() {
            Ok(Some(row)) => row.get(0)?,
            Ok(None) => return Ok(problems),
            Err(error) if error.sqlite_error_code() == Some(ErrorCode::DatabaseCorrupt) => {
                problems.push(damaged(error.to_string()));
                return Ok(problems);
            }
            Err(error) => return Err(error),
        };
        if message != "ok" {
            problems.push(damaged(message));
        }
    }
}

fn damaged(message: String) -> Problem {
    Problem {
        what: "damaged",
        execution: None,
        message,
    }
}

/// What Flux's own rows must agree in.
fn invariants(view: &Connection, schema: u32) -> rusqlite::Result<Vec<Problem>> {
    let words = Words::new();
    let mut problems = Vec::new();
    for check in CHECKS.iter().filter(|check| check.since <= schema) {
        let mut select = view.prepare(&format!("{WORDS} {}", check.select))?;
        let values = named_params! {
            ":kinds": words.kinds, ":statuses": words.statuses, ":ends": words.ends,
        };
        let broken = select.query_map(values, |row| problem(check.what, row))?;
        for problem in broken {
            problems.push(problem?);
        }
    }
    Ok(problems)
}

fn problem(what: &'static str, row: &Row<'_>) -> rusqlite::Result<Problem> {
    let execution: Option<String> = row.get(0)?;
    Ok(Problem {
        what,
        execution: execution.map(ExecutionId::from),
        message: row.get(1)?,
    })
}
