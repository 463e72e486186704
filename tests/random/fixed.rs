//! What failed is repaired and resumed: every success is kept, the rest runs again, and all of it replays.

use std::collections::{BTreeMap, BTreeSet};

use flux::{Event, EventKind, Execution};

use super::brittle::Crash;
use super::harness::{Ground, ID, Life, Style, check_histories, crash_of, in_virtual_time};
use super::history::lines;
use super::program::{Ends, Grammar, Node, Work};
use super::trial::{for_programs, quiet_planned_panics};
use super::world::each_result_once;

type Checked = Result<(), String>;

const STYLES: [Style; 3] = [Style::Task, Style::Text, Style::Anyhow];

pub(crate) fn broken_tasks(node: &Node) -> usize {
    let is_broken = |node: &Node| {
        let broken = Ends::BadlyUntilFixed;
        matches!(node, Node::Task(Work { ends, .. }) if *ends == broken)
    };
    node.count(&is_broken)
}

/// Runs to the end, resuming what failed, at most `limit` times.
pub(crate) async fn run_resuming(
    life: &Life,
    style: Style,
    node: &Node,
    limit: usize,
) -> Result<Execution<u64>, String> {
    let mut resumes = 0;
    loop {
        let run = life
            .run(style, node)
            .await
            .map_err(|error| error.to_string())?;
        if !run.has_failed() || resumes == limit {
            return Ok(run);
        }
        resumes += 1;
        let _ = life
            .resume(style, None)
            .await
            .map_err(|error| format!("resume {resumes}: {error}"))?;
    }
}

/// The places whose task is recorded as done, and how often.
fn recorded(histories: impl Iterator<Item = Vec<Event>>) -> BTreeMap<String, u32> {
    let mut recorded: BTreeMap<String, u32> = BTreeMap::new();
    for events in histories {
        let done = events
            .iter()
            .filter(|event| event.kind == EventKind::TaskCompleted);
        // A rewind may deliver a recorded success once more: that is another event of the same call.
        let calls: BTreeSet<_> = done.filter_map(|event| event.refers).collect();
        for call in calls {
            let call = &events[call.get() as usize - 1];
            if call.name.as_deref() != Some("work") {
                continue;
            }
            let input = call.payload.as_ref().expect("an input");
            let (place, _): (String, Work) = input.decode().expect("a place and work");
            *recorded.entry(place).or_default() += 1;
        }
    }
    recorded
}

async fn recorded_on(ground: &Ground) -> BTreeMap<String, u32> {
    recorded(
        ground
            .histories()
            .await
            .into_values()
            .map(|(_, events)| events),
    )
}

/// Fails, is repaired and resumed in a second process that dies at `crash`, and ends in a third, which replays
/// always.
fn repaired(
    seed: u64,
    style: Style,
    node: &Node,
    crash: Option<Crash>,
) -> Result<(Execution<u64>, u32, String), String> {
    in_virtual_time(seed, async {
        let ground = Ground::new();
        let first = ground.live(false, None).await;
        let _ = first
            .run(style, node)
            .await
            .map_err(|error| format!("the first run: {error}"))?;
        first.brittle.kill();
        let done = recorded_on(&ground).await;
        let begun = ground.world.begun_at();
        ground.world.fix();

        let limit = 2 * broken_tasks(node) + 2;
        let second = ground.live(false, crash).await;
        crash_of(&second, run_resuming(&second, style, node, limit))
            .await
            .transpose()?;
        ground.world.forget_seen();
        let third = ground.live(true, None).await;
        let run = run_resuming(&third, style, node, limit).await;
        ground.world.set_engine(None);
        let history = ground
            .histories()
            .await
            .remove(ID)
            .map(|(_, events)| lines(&events));
        let history = history.unwrap_or_default();
        let run = run.map_err(|error| format!("after {crash:?}: {error}\n{history}"))?;
        check_histories(&ground).await?;
        for (id, seen) in ground.world.seen() {
            each_result_once(&seen).map_err(|error| format!("{id}: {error}\n{history}"))?;
        }
        for (place, times) in recorded_on(&ground).await {
            if times > 1 {
                return Err(format!(
                    "{place} is recorded as done {times} times\n{history}"
                ));
            }
        }
        let now = ground.world.begun_at();
        for place in done.keys() {
            if begun.get(place) != now.get(place) {
                return Err(format!(
                    "{place} was done, and its body ran again\n{history}"
                ));
            }
        }
        Ok((run, second.brittle.writes(), history))
    })
}

fn never_failed(seed: u64, style: Style, node: &Node) -> Result<u64, String> {
    in_virtual_time(seed, async {
        let ground = Ground::new();
        ground.world.fix();
        let life = ground.live(false, None).await;
        let run = life
            .run(style, node)
            .await
            .map_err(|error| error.to_string())?;
        ground.world.set_engine(None);
        run.output().copied().ok_or_else(|| format!("{run}"))
    })
}

fn a_repaired_program_ends_as_if_it_had_never_failed(seed: u64, node: &Node) -> Checked {
    let node = &Node::Seq(vec![node.clone(), Node::Pause]);
    if broken_tasks(node) == 0 {
        return Ok(());
    }
    let mut dice = fastrand::Rng::with_seed(seed ^ node.size() as u64);
    for style in STYLES {
        let wanted = never_failed(seed, style, node)?;
        let (run, writes, history) = repaired(seed, style, node, None)?;
        let crash = Crash {
            at: dice.u32(1..=writes),
            after: dice.bool(),
        };
        let (crashed, _, after_crash) = repaired(seed, style, node, Some(crash))?;
        for (run, history) in [(run, history), (crashed, after_crash)] {
            if run.output() != Some(&wanted) {
                return Err(format!(
                    "{style:?}, {crash:?}: {run}, instead of {wanted}\n{history}"
                ));
            }
        }
    }
    Ok(())
}

fn a_resume_never_contradicts_the_history(seed: u64, node: &Node) -> Checked {
    let node = &Node::Seq(vec![node.clone(), Node::Pause]);
    let mut dice = fastrand::Rng::with_seed(seed ^ node.size() as u64);
    for style in STYLES {
        let (_, writes, _) = repaired(seed, style, node, None)?;
        let crash = Crash {
            at: dice.u32(1..=writes.max(1)),
            after: dice.bool(),
        };
        let _ = repaired(seed, style, node, Some(crash))?;
    }
    Ok(())
}

#[test]
fn a_failed_program_that_is_repaired_and_resumed_gives_what_it_would_have_given() {
    let grammar = Grammar {
        races: false,
        errors: false,
        broken: true,
        ..Grammar::ALL
    };
    for_programs(
        "fixed",
        grammar,
        300,
        a_repaired_program_ends_as_if_it_had_never_failed,
    );
}

#[test]
fn a_failed_program_of_any_kind_is_resumed_without_a_contradiction() {
    let grammar = Grammar {
        broken: true,
        ..Grammar::ALL
    };
    for_programs(
        "resumed",
        grammar,
        150,
        a_resume_never_contradicts_the_history,
    );
}

/// Once the third call was made because the second had ended, once because the first had: its result went with it.
#[test]
fn a_result_that_an_attempt_on_another_way_has_reused_is_not_made_again() {
    let program = r#"{"BufferUnordered":[2,[
        {"Unordered":[{"Task":{"ms":0,"ends":"Badly"}},"Pause"]},
        {"Task":{"ms":0,"ends":"BadlyUntilFixed"}},
        {"Task":{"ms":0,"ends":"Well"}}]]}"#;
    quiet_planned_panics();
    let node = serde_json::from_str(program).expect("a program");
    a_resume_never_contradicts_the_history(5_788_948_196_975_943_302, &node)
        .unwrap_or_else(|error| panic!("{error}"));
}
