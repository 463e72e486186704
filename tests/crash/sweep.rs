//! The voyage, killed at every store write and inside every body, and resumed in a new process.

use std::collections::BTreeMap;

use flux::EventKind;

use crate::brittle::Crash;
use crate::history::{self, lines};
use crate::process::{Ended, Fate, ID, Site};
use crate::voyage::OUTPUT;
use crate::world::Death;

fn wanted() -> Option<String> {
    Some(format!("{OUTPUT:?}"))
}

fn undisturbed() -> (Ended, Site) {
    let site = Site::new();
    let ended = site.play(&Fate::Lives, None);
    assert_eq!(ended.output, wanted(), "{}", ended.said);
    site.check_whole().unwrap();
    (ended, site)
}

/// How often each call's body has left this trace, by the call's key.
pub(crate) fn count(traces: &[String], what: &str) -> BTreeMap<String, u32> {
    let mut counts = BTreeMap::new();
    for line in traces {
        let mut words = line.split(' ');
        if words.next() == Some(what) {
            *counts
                .entry(words.next().unwrap_or_default().to_owned())
                .or_default() += 1;
        }
    }
    counts
}

/// Dies as `fate` says, is resumed in a new process, and all is as if nothing had happened.
fn killed_and_resumed(fate: &Fate) -> Result<bool, String> {
    let site = Site::new();
    let first = site.play(fate, None);
    let before = site.histories();
    let done_before = count(&site.traces(), "end");
    for (id, (_, events)) in &before {
        history::check(events).map_err(|error| format!("{id} at the crash: {error}"))?;
    }
    if !first.was_killed && first.output != wanted() {
        return Err(format!(
            "it was not killed, and did not end well: {}",
            first.said
        ));
    }
    let second = site.play(&Fate::Lives, None);
    if second.output != wanted() {
        return Err(second.said);
    }
    site.check_whole()?;
    let after = site.histories();
    let (begun, done) = (count(&site.traces(), "begin"), count(&site.traces(), "end"));
    for (id, (_, events)) in &before {
        let now = &after[id].1;
        if now.get(..events.len()) != Some(events) {
            return Err(format!(
                "{id} was:\n{}and is:\n{}",
                lines(events),
                lines(now)
            ));
        }
        for key in history::completed_bodies(id, events) {
            if done.get(&key) != done_before.get(&key) {
                return Err(format!("the recorded body {key} ran again"));
            }
        }
    }
    for (id, (_, events)) in &after {
        let of_kind = |kind| events.iter().filter(move |event| event.kind == kind);
        if id == ID && of_kind(EventKind::WorkflowCompleted).count() != 1 {
            return Err(format!("it has not one end:\n{}", lines(events)));
        }
        for call in of_kind(EventKind::TaskStarted).map(|event| event.seq) {
            let key = format!("{id}/{call}");
            let failed = of_kind(EventKind::TaskAttemptFailed);
            let failed = failed.filter(|event| event.refers == Some(call)).count();
            let limit = u32::try_from(failed).unwrap_or(u32::MAX) + 2;
            let times = begun.get(&key).copied().unwrap_or(0);
            if times > limit {
                return Err(format!("the body {key} began {times} times in one crash"));
            }
        }
    }
    if done.values().any(|times| *times > 2) {
        return Err(format!("a body was done more than twice: {done:?}"));
    }
    Ok(first.was_killed)
}

/// Tries every fate, two at a time, and reports all that went wrong.
fn sweep(fates: &[Fate]) -> usize {
    let next = std::sync::atomic::AtomicUsize::new(0);
    let work = || {
        let mut results = Vec::new();
        loop {
            let index = next.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            let Some(fate) = fates.get(index) else {
                return results;
            };
            results.push(killed_and_resumed(fate).map_err(|error| format!("{fate:?}: {error}")));
        }
    };
    let results: Vec<_> = std::thread::scope(|scope| {
        let workers = [scope.spawn(work), scope.spawn(work)];
        workers
            .into_iter()
            .flat_map(|worker| worker.join().unwrap())
            .collect()
    });
    let failures: Vec<_> = results
        .iter()
        .filter_map(|result| result.as_ref().err())
        .collect();
    assert!(
        failures.is_empty(),
        "{} of {} failed; the first: {}",
        failures.len(),
        fates.len(),
        failures[0]
    );
    results
        .into_iter()
        .filter(|result| matches!(result, Ok(true)))
        .count()
}

#[test]
fn killed_before_and_after_every_write_it_is_finished_by_a_new_process() {
    let (whole, _) = undisturbed();
    let at = |at| [false, true].map(|after| Fate::AtWrite(Crash { at, after }));
    let fates: Vec<_> = (1..=whole.writes).flat_map(at).collect();
    let killed = sweep(&fates);
    println!(
        "killed at {killed} of {} writes, before or after",
        fates.len()
    );
    // Arrivals that come together share a commit, so that a run may have a few less.
    assert!(
        killed * 10 >= fates.len() * 8,
        "only {killed} of {} were killed",
        fates.len()
    );
}

#[test]
fn killed_inside_every_body_it_is_finished_by_a_new_process() {
    let (_, site) = undisturbed();
    let bodies = site.traces();
    let attempts = bodies.iter().filter(|line| line.starts_with("begin"));
    let attempts = attempts.filter_map(|line| line.split(' ').nth(2));
    let fates: Vec<_> = attempts
        .flat_map(|body| {
            [false, true].map(|after| {
                let in_body = body.to_owned();
                Fate::InBody(Death { in_body, after })
            })
        })
        .collect();
    let killed = sweep(&fates);
    println!(
        "killed in {killed} of {} bodies, before or after the effect",
        fates.len()
    );
    // Attempts that fail have no effect to be killed after; the body that loses the race has none, and on a busy machine
    // does not even begin.
    assert!(
        killed + 4 >= fates.len(),
        "only {killed} of {} were killed",
        fates.len()
    );
}

#[test]
fn killed_inside_its_first_task_it_runs_that_task_again() {
    let site = Site::new();
    let in_body = "build#1".to_owned();
    let death = Death {
        in_body,
        after: true,
    };
    assert!(site.play(&Fate::InBody(death), None).was_killed);
    assert_eq!(site.play(&Fate::Lives, None).output, wanted());
    let traces = site.traces();
    let built: Vec<_> = traces
        .iter()
        .filter(|line| line.contains("build"))
        .collect();
    let key = format!("{ID}/2");
    let expected =
        [1, 2].map(|attempt| ["begin", "end"].map(|what| format!("{what} {key} build#{attempt}")));
    assert_eq!(built, expected.as_flattened().iter().collect::<Vec<_>>());
}
