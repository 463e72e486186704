//! Which bodies ran, by execution; and which version of its code an execution is to have.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{LazyLock, Mutex};

use std::time::Duration;

use flux::ExecutionId;

static BODIES: LazyLock<Mutex<BTreeMap<String, Vec<String>>>> = LazyLock::new(Mutex::default);
static METERS: LazyLock<Mutex<BTreeMap<String, Meter>>> = LazyLock::new(Mutex::default);
static CODE: LazyLock<Mutex<BTreeMap<String, u32>>> = LazyLock::new(Mutex::default);

/// Called first in a body: notes that it ran, and says for which time in this execution, from 1.
pub(crate) fn begin() -> usize {
    let context = flux::task_context().expect("a task's body runs here");
    note(context.execution_id().as_str(), context.task())
}

fn note(execution: &str, task: &str) -> usize {
    let mut bodies = BODIES.lock().unwrap();
    let ran = bodies.entry(execution.to_owned()).or_default();
    ran.push(task.to_owned());
    ran.iter().filter(|other| *other == task).count()
}

/// How often a task's body began in an execution.
pub(crate) fn ran(id: &ExecutionId, task: &str) -> usize {
    started(id).iter().filter(|other| *other == task).count()
}

/// The bodies that began in an execution, in order.
pub(crate) fn started(id: &ExecutionId) -> Vec<String> {
    let bodies = BODIES.lock().unwrap();
    bodies.get(id.as_str()).cloned().unwrap_or_default()
}

/// How many bodies run, and how many ran at most.
#[derive(Clone, Copy, Debug, Default)]
struct Meter {
    now: usize,
    most: usize,
}

fn measure(meter: &str, change: impl FnOnce(&mut Meter)) {
    change(METERS.lock().unwrap().entry(meter.to_owned()).or_default());
}

/// Called in a body: takes its time, and counts how many of the execution do so at once.
pub(crate) async fn spend(time: Duration) {
    let context = flux::task_context().expect("a task's body runs here");
    spend_in(context.execution_id().as_str(), time).await;
}

/// Takes its time, and counts how many do so at once who name the same meter.
pub(crate) async fn spend_in(meter: &str, time: Duration) {
    measure(meter, |meter| {
        meter.now += 1;
        meter.most = meter.most.max(meter.now);
    });
    tokio::time::sleep(time).await;
    measure(meter, |meter| meter.now -= 1);
}

/// How many [spent](spend_in) time at once, at most.
pub(crate) fn most_at_once(meter: &str) -> usize {
    METERS.lock().unwrap()[meter].most
}

/// Which version of its code a workflow is to run; 0 unless `set_code` was called.
pub(crate) fn code_of(id: &ExecutionId) -> u32 {
    CODE.lock().unwrap().get(id.as_str()).copied().unwrap_or(0)
}

/// Deploys another version of the code, for one execution.
pub(crate) fn set_code(id: &ExecutionId, version: u32) {
    CODE.lock().unwrap().insert(id.as_str().to_owned(), version);
}

/// An execution id of its own for one test.
pub(crate) fn unique(name: &str) -> ExecutionId {
    static NEXT: AtomicU32 = AtomicU32::new(1);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    format!("{name}-{number}").into()
}
