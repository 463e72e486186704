//! Builds whose lines have moved go on with what others began: no result changes its place.

use std::collections::BTreeMap;

use super::brittle::Crash;
use super::deploy::Deploys;
use super::fixed::{broken_tasks, run_resuming};
use super::harness::{Ground, Life, Style, all_lines, check_histories, crash_of, in_virtual_time};
use super::program::{Grammar, Node};
use super::trial::for_programs;
use super::world::{Seen, by_place};

type Checked = Result<(), String>;

const TWINS: Grammar = Grammar {
    twins: true,
    ..Grammar::ALL
};

/// What the code has seen, by execution and place.
type Results = BTreeMap<(String, String), String>;

/// Adds what was seen since; a place that shows another value than before is an error.
fn add(results: &mut Results, seen: BTreeMap<String, Vec<Seen>>) -> Checked {
    for (id, seen) in seen {
        for (place, value) in by_place(&seen).map_err(|error| format!("{id}: {error}"))? {
            let before = results.insert((id.clone(), place.to_owned()), value.to_owned());
            if before.as_ref().is_some_and(|before| before != value) {
                return Err(format!(
                    "{id}: place {place} showed {before:?}, and after a deploy {value}"
                ));
            }
        }
    }
    Ok(())
}

/// Each process has other lines than the one before it, and dies at a write.
fn deployed_again_and_again(seed: u64, node: &Node) -> Checked {
    let mut dice = fastrand::Rng::with_seed(seed ^ node.size() as u64);
    in_virtual_time(seed, async {
        let ground = Ground::new().with_deploys(Deploys::any(seed));
        let mut results = Results::new();
        for _ in 0..3 {
            let crash = Crash {
                at: dice.u32(1..12),
                after: dice.bool(),
            };
            let life = ground.live(false, Some(crash)).await;
            let ran = crash_of(&life, life.run(Style::Task, node)).await;
            ran.transpose().map_err(|error| error.to_string())?;
            add(&mut results, committed(&ground, &life))?;
            ground.world.forget_seen();
        }
        let life = ground.live(dice.bool(), None).await;
        let ran = life.run(Style::Task, node).await;
        drop(ran.map_err(|error| error.to_string())?);
        ground.world.set_engine(None);
        add(&mut results, ground.world.seen())?;
        for _ in 0..3 {
            ground.world.forget_seen();
            check_histories(&ground).await?;
            add(&mut results, ground.world.seen())?;
        }
        Ok(())
    })
}

/// What was seen behind an acknowledged commit.
fn committed(ground: &Ground, life: &Life) -> BTreeMap<String, Vec<Seen>> {
    let committed = life.brittle.committed();
    let mut seen = ground.world.seen();
    for (id, seen) in &mut seen {
        seen.truncate(committed.get(id).copied().unwrap_or(0));
    }
    seen
}

/// Fails, and is repaired by another build; what the code has then seen.
fn repaired(seed: u64, node: &Node, deploys: Deploys) -> Result<(Results, String), String> {
    in_virtual_time(seed, async {
        let ground = Ground::new().with_deploys(deploys);
        let first = ground.live(false, None).await;
        let ran = first.run(Style::Task, node).await;
        drop(ran.map_err(|error| format!("the first run: {error}"))?);
        first.brittle.kill();
        ground.world.fix();
        ground.world.forget_seen();
        let second = ground.live(false, None).await;
        let limit = 2 * broken_tasks(node) + 2;
        drop(run_resuming(&second, Style::Task, node, limit).await?);
        ground.world.set_engine(None);
        check_histories(&ground).await?;
        let mut results = Results::new();
        add(&mut results, returned(&ground))?;
        Ok((results, all_lines(&ground).await))
    })
}

/// What succeeded before a repair is found again, whatever the repair has moved.
fn repaired_by_another_build(seed: u64, node: &Node) -> Checked {
    let node = &Node::Seq(vec![node.clone(), Node::Pause]);
    if broken_tasks(node) == 0 {
        return Ok(());
    }
    let (same, history) = repaired(seed, node, Deploys::none())?;
    repaired(seed, node, Deploys::any(seed))?;
    for seed in seed..seed.saturating_add(3) {
        let (moved, after) = repaired(seed, node, Deploys::shifts(seed))?;
        if same != moved {
            return Err(format!(
                "by the same build:\n{same:#?}\n{history}by another:\n{moved:#?}\n{after}"
            ));
        }
    }
    Ok(())
}

/// What calls returned, each of them another number; when that was seen differs. A recorded value that a rewind takes back is
/// drawn again.
fn returned(ground: &Ground) -> BTreeMap<String, Vec<Seen>> {
    let mut seen = ground.world.seen();
    for seen in seen.values_mut() {
        for (_, value) in &mut *seen {
            value.truncate(value.find(' ').unwrap_or(value.len()));
        }
        seen.retain(|(place, value)| place.ends_with('!') && value.parse::<u64>().is_ok());
    }
    seen
}

#[test]
fn no_result_changes_its_place_when_lines_move() {
    for_programs("moved", TWINS, 400, deployed_again_and_again);
}

#[test]
fn what_succeeded_keeps_its_place_when_the_rest_is_repaired_by_another_build() {
    let grammar = Grammar {
        races: false,
        errors: false,
        broken: true,
        ..TWINS
    };
    for_programs("repaired", grammar, 400, repaired_by_another_build);
}
