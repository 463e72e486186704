//! Finding executions by a piece of their id.
//!
//! The beginning of an id is a range of the unique index. The end is in no index: one of reversed ids would cost every
//! start a page of its own. So the newest are looked at one by one, which is all of a small store; of a large one
//! the index of ids is read as a whole, piece by piece, by several threads.

use std::num::NonZero;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;

use flux_core::id::ExecutionId;
use rusqlite::types::Value;
use rusqlite::{Connection, OptionalExtension as _, Row};

use super::execution;
use crate::sqlite::io::reader::{MOST, Readers};
use crate::sync::lock;

/// So many of the newest are looked at one by one: a few milliseconds.
const NEWEST: usize = 20_000;

/// The pieces that the index is read in: more than threads, so that none is left with a large one.
const PIECES: i64 = 16;

/// What a first look found.
pub(crate) enum Found {
    /// All that is asked for.
    All(Vec<ExecutionId>),
    /// There are older executions, too: the pieces of the index that have to be read.
    Unsearched(Vec<Piece>),
}

/// What is looked for.
#[derive(Clone)]
pub(crate) struct Asked {
    fragment: String,
    limit: usize,
}

impl Asked {
    pub(crate) fn new(fragment: &str, limit: usize) -> Self {
        Self {
            fragment: fragment.to_owned(),
            limit,
        }
    }

    fn fits(&self, id: &str) -> bool {
        id.starts_with(&self.fragment) || id.ends_with(&self.fragment)
    }

    fn limit(&self) -> i64 {
        as_integer(self.limit)
    }
}

/// Looks for the id itself, and at the newest executions.
pub(crate) fn look(connection: &Connection, asked: &Asked) -> rusqlite::Result<Found> {
    const NEWEST_FIRST: &str = "SELECT id FROM flux_executions ORDER BY eid DESC";
    if asked.fragment.is_empty() || asked.limit == 0 {
        return Ok(Found::All(Vec::new()));
    }
    let id = ExecutionId::from(asked.fragment.as_str());
    if execution::exists(connection, &id)? {
        return Ok(Found::All(vec![id]));
    }
    let mut newest = connection.prepare_cached(NEWEST_FIRST)?;
    let mut rows = newest.query([])?;
    let mut found = Vec::new();
    for _ in 0..NEWEST {
        let Some(row) = rows.next()? else {
            return Ok(Found::All(found));
        };
        let id = row.get_ref(0)?.as_str()?;
        if asked.fits(id) {
            found.push(id.into());
        }
        if found.len() == asked.limit {
            return Ok(Found::All(found));
        }
    }
    pieces(connection).map(Found::Unsearched)
}

/// A piece of the index of ids: from one value on, up to another.
pub(crate) struct Piece {
    from: Value,
    to: Value,
}

/// Cuts the index where ids of executions are that were created at even distances: ids grow with time, mostly. Where
/// they do not, pieces are of different length.
fn pieces(connection: &Connection) -> rusqlite::Result<Vec<Piece>> {
    const CUT: &str = "SELECT id FROM flux_executions \
         WHERE eid >= (SELECT max(eid) FROM flux_executions) / ?2 * ?1 ORDER BY eid LIMIT 1";
    let mut cut = connection.prepare_cached(CUT)?;
    let mut cuts = Vec::new();
    for i in 1..PIECES {
        cuts.extend(
            cut.query_row((i, PIECES), |row| row.get::<_, String>(0))
                .optional()?,
        );
    }
    cuts.sort();
    let mut pieces = Vec::new();
    let mut from = Value::Text(String::new());
    for cut in cuts {
        let cut = Value::Text(cut);
        let to = cut.clone();
        pieces.push(Piece { from, to });
        from = cut;
    }
    pieces.push(Piece { from, to: END });
    Ok(pieces)
}

/// Greater than every text.
const END: Value = Value::Blob(Vec::new());

/// What fits, and the number that says how new it is.
type Hit = (i64, ExecutionId);

/// Reads the whole index on several threads, this one included.
pub(crate) fn search(
    readers: &Readers,
    asked: &Asked,
    pieces: &[Piece],
) -> rusqlite::Result<Vec<ExecutionId>> {
    let mut hits = readers.read(asked.limit, |connection| beginning(connection, asked))?;
    let search = Search {
        readers,
        asked,
        pieces,
        next: AtomicUsize::new(0),
        hits: Mutex::new(Ok(Vec::new())),
    };
    let threads = thread::available_parallelism().map_or(1, NonZero::get);
    thread::scope(|scope| {
        for _ in 1..threads.min(MOST) {
            let helper = thread::Builder::new().name("flux-find".to_owned());
            // Where none can be started, those that there are read more pieces.
            let _ = helper.spawn_scoped(scope, || search.work());
        }
        search.work();
    });
    let ends = search.hits.into_inner();
    hits.extend(ends.unwrap_or_else(PoisonError::into_inner)?);
    hits.sort_unstable_by(|a, b| b.cmp(a));
    hits.dedup();
    hits.truncate(asked.limit);
    Ok(hits.into_iter().map(|(_, id)| id).collect())
}

/// What those who read the index share.
struct Search<'a> {
    readers: &'a Readers,
    asked: &'a Asked,
    pieces: &'a [Piece],
    next: AtomicUsize,
    hits: Mutex<rusqlite::Result<Vec<Hit>>>,
}

impl Search<'_> {
    /// Reads pieces until none is left.
    fn work(&self) {
        let read = self.readers.read(self.asked.limit, |connection| {
            // Each page is read once: to keep many of them would only cost the memory they are copied to.
            with_cache(connection, PASSING, || {
                let mut hits = Vec::new();
                while let Some(piece) = self.pieces.get(self.next.fetch_add(1, Ordering::Relaxed)) {
                    hits.extend(ending(connection, self.asked, piece)?);
                }
                Ok(hits)
            })
        });
        let mut all = lock(&self.hits);
        match (&mut *all, read) {
            (Ok(all), Ok(hits)) => all.extend(hits),
            (all, Err(error)) => *all = Err(error),
            (Err(_), Ok(_)) => {}
        }
    }
}

/// So many KiB of cache are enough for pages that pass.
const PASSING: i64 = 512;

/// Reads with a cache of another size, in KiB.
fn with_cache<T>(
    connection: &Connection,
    size: i64,
    read: impl FnOnce() -> rusqlite::Result<T>,
) -> rusqlite::Result<T> {
    let before: i64 = connection.pragma_query_value(None, "cache_size", |row| row.get(0))?;
    connection.pragma_update(None, "cache_size", -size)?;
    let outcome = read();
    connection.pragma_update(None, "cache_size", before)?;
    outcome
}

/// The newest whose id begins with the fragment.
fn beginning(connection: &Connection, asked: &Asked) -> rusqlite::Result<Vec<Hit>> {
    const BEGINNING: &str = "SELECT eid, id FROM flux_executions WHERE id >= ?1 AND id < ?2 \
         ORDER BY eid DESC LIMIT ?3";
    let after = after_all_with(&asked.fragment).map_or(END, Value::Text);
    let mut select = connection.prepare_cached(BEGINNING)?;
    let hits = select.query_map((&asked.fragment, after, asked.limit()), hit)?;
    hits.collect()
}

/// The newest of a piece whose id ends with the fragment. Compared as bytes: nothing in it is a wildcard, and letters
/// need not be counted.
fn ending(connection: &Connection, asked: &Asked, piece: &Piece) -> rusqlite::Result<Vec<Hit>> {
    const ENDING: &str = "SELECT eid, id FROM flux_executions WHERE id >= ?1 AND id < ?2 \
         AND substr(CAST(id AS BLOB), -?3) = ?4 ORDER BY eid DESC LIMIT ?5";
    let fragment = asked.fragment.as_bytes();
    let mut select = connection.prepare_cached(ENDING)?;
    let values = (
        &piece.from,
        &piece.to,
        as_integer(fragment.len()),
        fragment,
        asked.limit(),
    );
    let hits = select.query_map(values, hit)?;
    hits.collect()
}

fn hit(row: &Row<'_>) -> rusqlite::Result<Hit> {
    Ok((row.get(0)?, row.get_ref(1)?.as_str()?.into()))
}

fn as_integer(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

/// The least text that is greater than all that begin with `prefix`, if there is one.
fn after_all_with(prefix: &str) -> Option<String> {
    let (last, letter) = prefix.char_indices().next_back()?;
    match (letter..=char::MAX).nth(1) {
        Some(next) => Some(format!("{}{next}", &prefix[..last])),
        None => after_all_with(&prefix[..last]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(prefix: &str, after: Option<&str>) {
        assert_eq!(after_all_with(prefix).as_deref(), after);
    }

    #[test]
    fn the_least_text_after_all_that_begin_with_another() {
        check("ab", Some("ac"));
        check("a\u{D7FF}", Some("a\u{E000}"));
        check("a\u{10FFFF}", Some("b"));
        check("\u{10FFFF}\u{10FFFF}", None);
        check("", None);
    }
}
