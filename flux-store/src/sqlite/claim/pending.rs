//! Starting what waits in line: queue by queue, of each queue partition by partition, of each partition by priority
//! and age.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use flux_core::execution::Status;
use flux_core::id::EventSeq;
use flux_core::store::ExecutionRecord;
use rusqlite::{Connection, OptionalExtension as _};

use super::gate;
use super::work::Desk;
use crate::sqlite::table::history;
use crate::sqlite::table::inbox;
use crate::sqlite::table::lane::{Lane, Shelf, after, least_text};
use crate::sqlite::table::queue;
use crate::sqlite::table::row::{self, EXECUTION};

const LINE: Shelf = Shelf {
    index: "flux_executions_in_line",
    holds: "rank IS NOT NULL",
};

/// What a partition is called: that of those who belong to none has no name.
type Name = Option<Arc<str>>;

/// A queue, or what is in none, and its lanes that the worker can take from.
type Queue = (Option<Arc<str>>, Vec<Lane>);

impl Desk<'_> {
    /// Whether anything in line may start.
    pub(crate) fn has_pending(&mut self) -> rusqlite::Result<bool> {
        for (queue, lanes) in self.queues()? {
            if self.room_in(queue.as_ref())? > 0 {
                return Ok(true);
            }
            drop(lanes);
        }
        Ok(false)
    }

    /// Starts what is first in line, as far as the limits allow.
    pub(crate) fn take_pending(&mut self) -> rusqlite::Result<()> {
        let mut queues = self.queues()?;
        // The one that was served last is last now.
        let had_turn = queues.partition_point(|(queue, _)| *queue <= self.last_queue);
        queues.rotate_left(had_turn);
        for (queue, lanes) in queues {
            let room = self.room_in(queue.as_ref())?;
            if room > 0 {
                self.take_from_queue(queue.as_ref(), &lanes, room)?;
            }
        }
        Ok(())
    }

    /// The queues in which something stands in line that the worker can take, by name.
    fn queues(&self) -> rusqlite::Result<Vec<Queue>> {
        let mut queues: BTreeMap<Option<Arc<str>>, Vec<Lane>> = BTreeMap::new();
        for lane in LINE.lanes_for(self.connection, self.request)? {
            if self.has_any(&lane)? {
                queues.entry(lane.queue.clone()).or_default().push(lane);
            }
        }
        Ok(queues.into_iter().collect())
    }

    fn has_any(&self, lane: &Lane) -> rusqlite::Result<bool> {
        const FIRST: &str = "SELECT eid FROM flux_executions INDEXED BY flux_executions_in_line \
             WHERE rank IS NOT NULL AND queue IS ?1 AND workflow = ?2 AND version = ?3 LIMIT ?4";
        let except = &self.request.except;
        if except.is_empty() {
            return Ok(true);
        }
        let most = i64::try_from(except.len())
            .unwrap_or(i64::MAX)
            .saturating_add(1);
        let mut first = self.connection.prepare_cached(FIRST)?;
        let mut rows = first.query((&lane.queue, &lane.workflow, lane.version, most))?;
        while let Some(row) = rows.next()? {
            if !except.contains(&flux_core::id::ExecutionKey(row.get(0)?)) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// How many may start from a queue now.
    pub(crate) fn room_in(&mut self, queue: Option<&Arc<str>>) -> rusqlite::Result<usize> {
        let Some(name) = queue else {
            return Ok(self.room());
        };
        let settings = self.queue(name)?.settings.clone();
        if settings.is_paused {
            return Ok(0);
        }
        let allowance = queue::allowance(self.connection, name, settings.rate, self.now)?;
        self.worth_a_look(allowance.next);
        let left = match settings.concurrency {
            Some(limit) => limit - queue::running(self.connection, name, limit)?,
            None => u32::MAX,
        };
        let on_worker = self.room_on_worker(Some(name))?;
        let left = usize::try_from(left).unwrap_or(usize::MAX);
        Ok(allowance.left.min(left).min(on_worker).min(self.room()))
    }

    fn take_from_queue(
        &mut self,
        queue: Option<&Arc<str>>,
        lanes: &[Lane],
        room: usize,
    ) -> rusqlite::Result<()> {
        let last_partition = match queue {
            Some(name) => self.queue(name)?.last_partition.clone(),
            None => None,
        };
        let mut started = Started {
            room,
            last_partition: last_partition.clone(),
            gates: BTreeSet::new(),
        };
        let mut turns = Turns::after(last_partition.clone());
        let mut round = Vec::new();
        while started.room > 0
            && let Some(partition) = turns.next(self.connection, lanes)?
        {
            let mut partition = Partition::new(partition, lanes);
            if self.start_one(&mut partition, &mut started)? {
                round.push(partition);
            }
        }
        while started.room > 0 && !round.is_empty() {
            let mut next = Vec::with_capacity(round.len());
            for mut partition in round {
                if started.room > 0 && self.start_one(&mut partition, &mut started)? {
                    next.push(partition);
                }
            }
            round = next;
        }
        for gate in &started.gates {
            gate::settle(self.connection, gate)?;
        }
        let count = room - started.room;
        if count == 0 {
            return Ok(());
        }
        self.last_queue = queue.cloned();
        let Some(name) = queue else { return Ok(()) };
        if started.last_partition != last_partition {
            let last = started.last_partition.as_deref();
            queue::set_last_partition(self.connection, name, last)?;
        }
        self.note_starts(name, lanes, count)
    }

    /// Starts the next of a partition; false where there is none.
    fn start_one(
        &mut self,
        partition: &mut Partition,
        started: &mut Started,
    ) -> rusqlite::Result<bool> {
        while let Some(record) = partition.next(self.connection, started.room)? {
            if self.request.except.contains(&record.key) {
                continue;
            }
            if let Some(gate) = &record.placement.gate {
                started.gates.insert(Arc::clone(&gate.key));
                if gate::room(self.connection, gate)? == 0 {
                    continue;
                }
            }
            started.room -= 1;
            started.last_partition.clone_from(&partition.name);
            self.start(record)?;
            return Ok(true);
        }
        Ok(false)
    }

    pub(crate) fn start(&mut self, mut record: ExecutionRecord) -> rusqlite::Result<()> {
        const START: &str = "UPDATE flux_executions SET status = 2, owner = ?2, epoch = epoch + 1, \
             started_at = ?3, delayed_to = NULL, rank = NULL WHERE eid = ?1";
        const GO_IN: &str = "UPDATE flux_executions SET status = 2, owner = ?2, epoch = epoch + 1, \
             started_at = ?3, delayed_to = NULL, rank = NULL, gate_state = 3 WHERE eid = ?1";
        let is_gated = record.placement.gate.is_some();
        let mut start = self
            .connection
            .prepare_cached(if is_gated { GO_IN } else { START })?;
        start.execute((record.key.0, self.request.worker.0, self.now.as_micros()))?;
        record.status = Status::Running;
        record.started_at = Some(self.now);
        if inbox::is_empty(self.connection, record.key)? {
            let history = history::page(self.connection, record.key, EventSeq::FIRST, 2)?;
            if let [event] = &history[..] {
                self.work.queued.insert(record.key, event.clone());
            }
        }
        self.hand_over(record);
        Ok(())
    }

    /// Remembers starts for the rate of a queue, and when it lets the next in if it lets none in now.
    pub(crate) fn note_starts(
        &mut self,
        name: &Arc<str>,
        lanes: &[Lane],
        count: usize,
    ) -> rusqlite::Result<()> {
        let Some(rate) = self.queue(name)?.settings.rate else {
            return Ok(());
        };
        queue::note_starts(self.connection, name, rate, self.now, count)?;
        let mut more = false;
        for lane in lanes {
            more = more || is_filled(self.connection, lane)? && self.has_any(lane)?;
        }
        if more {
            let allowance = queue::allowance(self.connection, name, Some(rate), self.now)?;
            self.worth_a_look(allowance.next);
        }
        Ok(())
    }
}

/// What is being started from a queue.
struct Started {
    room: usize,
    last_partition: Option<Arc<str>>,
    /// The gates of those who were looked at.
    gates: BTreeSet<Arc<str>>,
}

/// Whether anybody stands in line in a lane.
fn is_filled(connection: &Connection, lane: &Lane) -> rusqlite::Result<bool> {
    const ANY: &str = "SELECT 1 FROM flux_executions INDEXED BY flux_executions_in_line \
         WHERE rank IS NOT NULL AND queue IS ?1 AND workflow = ?2 AND version = ?3 LIMIT 1";
    let mut any = connection.prepare_cached(ANY)?;
    any.exists((&lane.queue, &lane.workflow, lane.version))
}

/// The partitions of a queue in turn, after the one that had its turn last. Each is found by a seek.
struct Turns {
    last: Option<Arc<str>>,
    next: Option<Turn>,
}

enum Turn {
    /// The least from this one on.
    From(String),
    /// That of those who belong to none.
    Without,
    /// The least from this one on, up to the last.
    UpToLast(String),
}

impl Turns {
    fn after(last: Option<Arc<str>>) -> Self {
        let from = last.as_deref().map_or_else(String::new, after);
        Self {
            last,
            next: Some(Turn::From(from)),
        }
    }

    fn next(&mut self, connection: &Connection, lanes: &[Lane]) -> rusqlite::Result<Option<Name>> {
        loop {
            match self.next.take() {
                None => return Ok(None),
                Some(Turn::From(from)) => {
                    if let Some(partition) = least_partition(connection, lanes, &from)? {
                        self.next = Some(Turn::From(after(&partition)));
                        return Ok(Some(Some(partition)));
                    }
                    self.next = Some(Turn::Without);
                }
                Some(Turn::Without) => {
                    self.next = Some(Turn::UpToLast(String::new()));
                    return Ok(Some(None));
                }
                Some(Turn::UpToLast(from)) => {
                    let partition = match &self.last {
                        Some(_) => least_partition(connection, lanes, &from)?,
                        None => None,
                    };
                    let Some(partition) = partition.filter(|it| Some(it) <= self.last.as_ref())
                    else {
                        return Ok(None);
                    };
                    self.next = Some(Turn::UpToLast(after(&partition)));
                    return Ok(Some(Some(partition)));
                }
            }
        }
    }
}

/// The least partition from `from` on in which somebody stands in line.
fn least_partition(
    connection: &Connection,
    lanes: &[Lane],
    from: &str,
) -> rusqlite::Result<Option<Arc<str>>> {
    const LEAST: &str = "SELECT partition FROM flux_executions INDEXED BY flux_executions_in_line \
         WHERE rank IS NOT NULL AND queue IS ?1 AND workflow = ?2 AND version = ?3 AND partition >= CAST(?4 AS TEXT) \
         ORDER BY partition LIMIT 1";
    let mut select = connection.prepare_cached(LEAST)?;
    let mut least: Option<Arc<str>> = None;
    for lane in lanes {
        let found = least_text(from, |from| {
            let values = (&lane.queue, &lane.workflow, lane.version, from);
            let found = select.query_row(values, |row| row::bytes(row, 0));
            Ok(found.optional()?.flatten())
        })?;
        least = least.into_iter().chain(found).min();
    }
    Ok(least)
}

/// Those of one partition who stand in line, of several lanes.
struct Partition {
    name: Option<Arc<str>>,
    lines: Vec<Line>,
}

/// Those of one lane and partition who stand in line; read bit by bit.
struct Line {
    lane: Lane,
    read: VecDeque<(i64, ExecutionRecord)>,
    /// The rank and number of the last that was read.
    last: (i64, i64),
    at_once: usize,
    is_read: bool,
}

impl Partition {
    fn new(name: Option<Arc<str>>, lanes: &[Lane]) -> Self {
        let line = |lane: &Lane| Line {
            lane: lane.clone(),
            read: VecDeque::new(),
            last: (i64::MIN, i64::MIN),
            at_once: 4,
            is_read: false,
        };
        Self {
            name,
            lines: lanes.iter().map(line).collect(),
        }
    }

    /// The next by rank and age. No more than `most` will be asked for.
    fn next(
        &mut self,
        connection: &Connection,
        most: usize,
    ) -> rusqlite::Result<Option<ExecutionRecord>> {
        for line in &mut self.lines {
            line.fill(connection, self.name.as_deref(), most)?;
        }
        let place = |line: &&mut Line| line.read.front().map(|(rank, record)| (*rank, record.key));
        let filled = self.lines.iter_mut().filter(|line| !line.read.is_empty());
        let first = filled.min_by_key(place);
        Ok(first
            .and_then(|line| line.read.pop_front())
            .map(|(_, record)| record))
    }
}

impl Line {
    fn fill(
        &mut self,
        connection: &Connection,
        partition: Option<&str>,
        most: usize,
    ) -> rusqlite::Result<()> {
        // Those that are damaged are passed over.
        while self.read.is_empty() && !self.is_read {
            self.read_on(connection, partition, most)?;
        }
        Ok(())
    }

    fn read_on(
        &mut self,
        connection: &Connection,
        partition: Option<&str>,
        most: usize,
    ) -> rusqlite::Result<()> {
        let mut next = connection.prepare_cached(&format!(
            "SELECT {EXECUTION}, rank FROM flux_executions INDEXED BY flux_executions_in_line \
             WHERE rank IS NOT NULL AND queue IS ?1 AND workflow = ?2 AND version = ?3 AND partition IS ?4 \
             AND (rank, eid) > (?5, ?6) ORDER BY rank, eid LIMIT ?7"
        ))?;
        let Lane {
            queue,
            workflow,
            version,
        } = &self.lane;
        let wanted = self.at_once.min(most);
        self.at_once *= 8;
        let (rank, eid) = self.last;
        let limit = i64::try_from(wanted).unwrap_or(i64::MAX);
        let values = (queue, workflow, version, partition, rank, eid, limit);
        let mut rows = next.query(values)?;
        let mut count = 0;
        while let Some(row) = rows.next()? {
            let rank = row.get("rank")?;
            self.last = (rank, row.get("eid")?);
            count += 1;
            let record = row::unless_damaged(row::execution(row))?;
            self.read.extend(record.map(|record| (rank, record)));
        }
        self.is_read = count < wanted;
        Ok(())
    }
}
