//! Listings: executions, newest first, each by an index.

use std::time::Duration;

use flux_core::clock::Timestamp;
use flux_core::execution::Status;
use flux_core::id::{ExecutionId, ExecutionKey};
use flux_core::store::{ExecutionRecord, Filter, WorkflowCount};
use rusqlite::{Connection, OptionalExtension as _, ToSql, named_params};

use super::row::{self, EXECUTION};

/// Lists executions, newest first.
///
/// Several statuses are several ranges of one index: each is read by itself, and the newest of all
/// are kept.
pub(crate) fn list(
    connection: &Connection,
    filter: &Filter,
) -> rusqlite::Result<Vec<ExecutionRecord>> {
    let range = Range::of(filter);
    let oldest = match filter.since {
        Some(since) => first_since(connection, since)?,
        None => i64::MIN,
    };
    let mut found = Vec::new();
    if range.is_by_status {
        for status in Status::ALL
            .into_iter()
            .filter(|status| is_wanted(filter, *status))
        {
            range.read(connection, filter, oldest, Some(status), &mut found)?;
        }
    } else {
        range.read(connection, filter, oldest, None, &mut found)?;
    }
    found.sort_unstable_by_key(|record| std::cmp::Reverse(record.key));
    found.truncate(filter.limit);
    Ok(found)
}

/// How many executions each workflow has, each status by itself.
pub(crate) fn workflow_counts(connection: &Connection) -> rusqlite::Result<Vec<WorkflowCount>> {
    const COUNTS: &str = "SELECT workflow, status, count(*), min(eid) FROM flux_executions \
         INDEXED BY flux_executions_by_workflow GROUP BY workflow, status ORDER BY workflow, status";
    let mut counts = connection.prepare_cached(COUNTS)?;
    let counts = counts.query_map([], |row| {
        let key = ExecutionKey(row.get(3)?);
        Ok(WorkflowCount {
            workflow: row::workflow(row, 0, key)?,
            status: row::status(row, 1, key)?,
            count: row::count(row, 2)?,
        })
    })?;
    let counts = counts.map(|count| row::unless_damaged(count).transpose());
    counts.flatten().collect()
}

/// The index that is read.
struct Range {
    from: &'static str,
    condition: &'static str,
    /// The index holds each status by itself.
    is_by_status: bool,
}

impl Range {
    /// The narrowest that the filter allows.
    fn of(filter: &Filter) -> Self {
        let (from, condition, is_by_status) = if filter.parent.is_some() {
            let from = "flux_executions INDEXED BY flux_executions_by_parent";
            (from, "parent = :parent", false)
        } else if filter.schedule.is_some() {
            let from = "flux_executions INDEXED BY flux_executions_by_schedule";
            (from, "schedule = :schedule", true)
        } else if filter.tag.is_some() {
            let from = "flux_tags CROSS JOIN flux_executions USING (eid)";
            (from, "flux_tags.tag = :tag", false)
        } else if filter.queue.is_some() {
            let from = "flux_executions INDEXED BY flux_executions_by_queue";
            (from, "queue = :queue", true)
        } else if filter.workflow.is_some() {
            let from = "flux_executions INDEXED BY flux_executions_by_workflow";
            (from, "workflow = :workflow", true)
        } else if filter.statuses.is_empty() {
            ("flux_executions", "TRUE", false)
        } else {
            let from = "flux_executions INDEXED BY flux_executions_by_status";
            (from, "TRUE", true)
        };
        Self {
            from,
            condition,
            is_by_status,
        }
    }

    /// Reads it from the newest on, until there is a page.
    fn read(
        &self,
        connection: &Connection,
        filter: &Filter,
        oldest: i64,
        status: Option<Status>,
        found: &mut Vec<ExecutionRecord>,
    ) -> rusqlite::Result<()> {
        let Self {
            from, condition, ..
        } = self;
        let mut select = format!(
            "SELECT {EXECUTION} FROM {from} WHERE {condition} AND eid < :before AND eid >= :oldest"
        );
        let before = filter.before.map_or(i64::MAX, |key| key.0);
        let parent = filter.parent.as_ref().map(ExecutionId::as_str);
        let since = filter.since.map(Timestamp::as_micros);
        let code = status.map(Status::code);
        let asked: [(&str, Option<&dyn ToSql>, &str); 7] = [
            (":parent", some(parent.as_ref()), "parent = :parent"),
            (
                ":schedule",
                some(filter.schedule.as_ref()),
                "schedule = :schedule",
            ),
            (":tag", some(filter.tag.as_ref()), TAGGED),
            (":queue", some(filter.queue.as_ref()), "queue = :queue"),
            (
                ":workflow",
                some(filter.workflow.as_ref()),
                "workflow = :workflow",
            ),
            (":since", some(since.as_ref()), "created_at >= :since"),
            (":status", some(code.as_ref()), "status = :status"),
        ];
        let mut values: Vec<(&str, &dyn ToSql)> = Vec::with_capacity(9);
        values.extend_from_slice(named_params! { ":before": before, ":oldest": oldest });
        for (name, value, holds) in asked {
            let Some(value) = value else { continue };
            values.push((name, value));
            if !condition.contains(name) {
                select.push_str(" AND ");
                select.push_str(holds);
            }
        }
        select.push_str(" ORDER BY eid DESC");
        let mut statement = connection.prepare_cached(&select)?;
        let mut rows = statement.query(&*values)?;
        let start = found.len();
        while found.len() - start < filter.limit
            && let Some(row) = rows.next()?
        {
            let record = row::unless_damaged(row::execution(row))?;
            found.extend(record.filter(|record| is_wanted(filter, record.status)));
        }
        Ok(())
    }
}

const TAGGED: &str =
    "EXISTS (SELECT 1 FROM flux_tags AS t WHERE t.tag = :tag AND t.eid = flux_executions.eid)";

fn some<T: ToSql>(value: Option<&T>) -> Option<&dyn ToSql> {
    value.map(|value| value as &dyn ToSql)
}

fn is_wanted(filter: &Filter, status: Status) -> bool {
    filter.statuses.is_empty() || filter.statuses.contains(&status)
}

/// How far the clocks of those who create executions may be apart, and a clock be set back, for
/// [`first_since`] to find all.
const DISORDER: Duration = Duration::from_mins(5);

/// The least number that an execution created at `since` or later can have: numbers are given in the order of
/// creation, nearly.
fn first_since(connection: &Connection, since: Timestamp) -> rusqlite::Result<i64> {
    const LAST: &str = "SELECT ifnull(max(eid), 0) FROM flux_executions";
    const FROM: &str =
        "SELECT eid, created_at FROM flux_executions WHERE eid >= ?1 ORDER BY eid LIMIT 1";
    let bound = since.before(DISORDER).as_micros();
    let mut from = connection.prepare_cached(FROM)?;
    let mut low = 0;
    let mut high: i64 = connection
        .prepare_cached(LAST)?
        .query_row([], |row| row.get(0))?;
    // All below `low` are earlier than the bound, all above `high` are not.
    while low <= high {
        let middle = low + (high - low) / 2;
        let found: Option<(i64, i64)> = from
            .query_row([middle], |row| Ok((row.get(0)?, row.get(1)?)))
            .optional()?;
        match found {
            Some((eid, created_at)) if created_at < bound => low = eid + 1,
            _ => high = middle - 1,
        }
    }
    Ok(low)
}
