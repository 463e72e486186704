//! What the bodies and the code of random programs do to the outside, and what they have seen.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::UNIX_EPOCH;

use flux::Engine;
use tokio::sync::Notify;

use super::brittle::die;

/// One place where a value was seen, and which value.
pub(crate) type Seen = (String, String);

/// What a test and a body tell each other.
#[derive(Debug, Default)]
pub(crate) struct Talk {
    pub(crate) begun: Notify,
    pub(crate) go_on: Notify,
    pub(crate) aborted: Notify,
}

/// What the code of the executions has seen in the present life of the process.
#[derive(Debug, Default)]
struct Sight {
    /// How many lives came before: each time a process dies, what it saw is forgotten.
    life: u64,
    seen: BTreeMap<String, Vec<Seen>>,
    /// How many of these values are behind an acknowledged commit.
    committed: BTreeMap<String, usize>,
}

/// The outside of one run of a program.
#[derive(Debug, Default)]
pub(crate) struct World {
    sight: Mutex<Sight>,
    begun: Mutex<BTreeMap<String, u32>>,
    ended: Mutex<BTreeMap<String, u32>>,
    begun_at: Mutex<BTreeMap<String, u32>>,
    numbers: AtomicU64,
    fixed: AtomicBool,
    engine: Mutex<Option<Engine>>,
    /// Where a body waits for its test.
    pub(crate) talk: Talk,
    /// Where bodies leave their traces when their process may die.
    file: Option<PathBuf>,
    death: Option<Death>,
}

/// The attempt of a body that takes its process with it, as `place#attempt`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Death {
    pub(crate) in_body: String,
    /// Whether it has had its effect by then.
    pub(crate) after: bool,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl World {
    /// A world whose traces outlive the process.
    pub(crate) fn on_file(path: PathBuf, death: Option<Death>) -> Self {
        Self {
            file: Some(path),
            death,
            ..Self::default()
        }
    }

    /// Gives bodies an engine to send signals with.
    pub(crate) fn set_engine(&self, engine: Option<&Engine>) {
        *lock(&self.engine) = engine.cloned();
    }

    pub(crate) fn engine(&self) -> Engine {
        lock(&self.engine).clone().expect("an engine")
    }

    /// The code of an execution has seen a value. Code of a process that died runs on until its next word to the store, and
    /// does not count.
    pub(crate) fn saw(&self, life: u64, execution: &str, place: &str, value: &str) {
        let now = flux::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let seen = (place.to_owned(), format!("{value} at {}", now.as_micros()));
        let mut sight = lock(&self.sight);
        if life == sight.life {
            sight
                .seen
                .entry(execution.to_owned())
                .or_default()
                .push(seen);
        }
    }

    /// A body has begun; which attempt of its call that is.
    pub(crate) fn begin(&self, place: &str) -> u32 {
        let attempt = flux::task_context().map_or(1, |body| body.attempt());
        self.die_in(place, attempt, false);
        self.trace("begin", place, attempt);
        count(&self.begun, &flux::idempotency_key());
        count(&self.begun_at, place);
        attempt
    }

    /// A body has done its work.
    pub(crate) fn end(&self, place: &str) {
        let attempt = flux::task_context().map_or(1, |body| body.attempt());
        self.trace("end", place, attempt);
        count(&self.ended, &flux::idempotency_key());
        self.die_in(place, attempt, true);
    }

    fn die_in(&self, place: &str, attempt: u32, after: bool) {
        let in_body = format!("{place}#{attempt}");
        if self.death == Some(Death { in_body, after }) {
            die();
        }
    }

    fn trace(&self, what: &str, place: &str, attempt: u32) {
        let Some(path) = &self.file else { return };
        let mut file = std::fs::OpenOptions::new()
            .append(true)
            .create(true)
            .open(path)
            .unwrap();
        let line = format!("{what} {} {place}#{attempt}\n", flux::idempotency_key());
        file.write_all(line.as_bytes()).unwrap();
    }

    pub(crate) fn next_number(&self) -> u64 {
        1000 + self.numbers.fetch_add(1, Ordering::Relaxed)
    }

    /// From here on nothing is broken.
    pub(crate) fn fix(&self) {
        self.fixed.store(true, Ordering::Relaxed);
    }

    pub(crate) fn is_fixed(&self) -> bool {
        self.fixed.load(Ordering::Relaxed)
    }

    /// What each execution's code has seen so far.
    pub(crate) fn seen(&self) -> BTreeMap<String, Vec<Seen>> {
        lock(&self.sight).seen.clone()
    }

    pub(crate) fn seen_by(&self, execution: &str) -> usize {
        lock(&self.sight).seen.get(execution).map_or(0, Vec::len)
    }

    /// What an execution's code has seen so far is committed, for the first so many values.
    pub(crate) fn committed(&self, execution: &str, count: usize) {
        lock(&self.sight)
            .committed
            .insert(execution.to_owned(), count);
    }

    /// The code of an execution begins, perhaps once more; returns the life of the process that it runs in. What it saw and
    /// was not committed it may see at another time: an end that a command comes before is taken back, for one.
    pub(crate) fn code_begins(&self, execution: &str) -> u64 {
        let mut sight = lock(&self.sight);
        let committed = sight.committed.get(execution).copied().unwrap_or(0);
        if let Some(seen) = sight.seen.get_mut(execution) {
            seen.truncate(committed);
        }
        sight.life
    }

    pub(crate) fn forget_seen(&self) {
        let mut sight = lock(&self.sight);
        *sight = Sight {
            life: sight.life + 1,
            ..Sight::default()
        };
    }

    /// How often the body of each call has begun, by its idempotency key.
    pub(crate) fn begun(&self) -> BTreeMap<String, u32> {
        lock(&self.begun).clone()
    }

    /// How often the body of each call was done, by its idempotency key.
    pub(crate) fn ended(&self) -> BTreeMap<String, u32> {
        lock(&self.ended).clone()
    }

    /// How often a body has begun at each place, whatever call it was for.
    pub(crate) fn begun_at(&self) -> BTreeMap<String, u32> {
        lock(&self.begun_at).clone()
    }
}

fn count(counts: &Mutex<BTreeMap<String, u32>>, key: &str) {
    *lock(counts).entry(key.to_owned()).or_default() += 1;
}

/// The values an execution has seen, by place. A place that showed two values in one history is an error: a
/// replay has shown its code something else than what it saw live.
pub(crate) fn by_place(seen: &[Seen]) -> Result<BTreeMap<&str, &str>, String> {
    let mut places = BTreeMap::new();
    for (place, value) in seen {
        if let Some(before) = places.insert(&**place, &**value)
            && before != value
        {
            return Err(format!(
                "place {place} showed {before}, and in a replay {value}"
            ));
        }
    }
    each_result_once(seen)?;
    Ok(places)
}

/// No result was given to two calls: in the end, what places that end in `!` show is each the only one of its kind.
pub(crate) fn each_result_once(seen: &[Seen]) -> Result<(), String> {
    let last: BTreeMap<&str, &str> = seen
        .iter()
        .filter(|(place, _)| place.ends_with('!'))
        .map(|(place, value)| (&**place, value.split(' ').next().unwrap_or_default()))
        .collect();
    let mut given = BTreeMap::new();
    for (place, result) in last {
        if let Some(other) = given.insert(result, place) {
            return Err(format!("{other} and {place} were given the same {result}"));
        }
    }
    Ok(())
}
