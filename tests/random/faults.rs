//! A store that fails: never the workflow's failure, and what bodies have returned is not lost.

use std::collections::BTreeMap;

use flux::Error;

use super::brittle::Fault;
use super::harness::{Ground, ID, Life, Style, check_histories, in_virtual_time};
use super::history::lines;
use super::program::{Ends, Grammar, Node, Work};
use super::trial::for_programs;

type Checked = Result<(), String>;

const FAULTS: [Fault; 4] = [
    Fault::Failed,
    Fault::UnknownWritten,
    Fault::UnknownLost,
    Fault::UnknownBlind,
];

fn come_to(run: &flux::Execution<u64>) -> String {
    run.output()
        .map_or_else(|| run.status().to_string(), u64::to_string)
}

fn undisturbed(seed: u64, node: &Node) -> Result<(String, u32), String> {
    in_virtual_time(seed, async {
        let ground = Ground::new();
        let life = ground.live(false, None).await;
        let run = life
            .run(Style::Task, node)
            .await
            .map_err(|error| error.to_string())?;
        ground.world.set_engine(None);
        Ok((come_to(&run), life.brittle.commits()))
    })
}

/// Tries again in the same process for as long as the store fails.
async fn insist(
    life: &Life,
    node: &Node,
    faults: usize,
) -> Result<(flux::Execution<u64>, usize), String> {
    for failed in 0..=faults {
        match life.run(Style::Task, node).await {
            Ok(run) => return Ok((run, failed)),
            Err(Error::Store(_)) => {}
            Err(error) => return Err(format!("not a fault of the store: {error}")),
        }
    }
    Err("it fails on when the store works again".to_owned())
}

fn disturbed(
    seed: u64,
    node: &Node,
    faults: &BTreeMap<u32, Fault>,
) -> Result<(String, usize), String> {
    in_virtual_time(seed, async {
        let ground = Ground::new();
        let life = ground.live_with(faults.clone()).await;
        let insisted = insist(&life, node, 2 * faults.len()).await;
        ground.world.set_engine(None);
        let history = ground
            .histories()
            .await
            .remove(ID)
            .map(|(_, events)| lines(&events));
        let history = history.unwrap_or_default();
        let (run, failed) = insisted.map_err(|error| format!("{error}\n{history}"))?;
        check_histories(&ground).await?;
        for (key, times) in ground.world.ended() {
            // A child is dropped with its parent's driver, as by a crash: what its body returned in that moment is lost.
            let most = if key.starts_with("p/") { 1 } else { 2 };
            if times > most {
                return Err(format!(
                    "the finished body {key} ran {times} times\n{history}"
                ));
            }
        }
        Ok((come_to(&run), failed))
    })
}

fn a_fault_changes_nothing(seed: u64, node: &Node) -> Checked {
    let (whole, commits) = undisturbed(seed, node)?;
    let mut dice = fastrand::Rng::with_seed(seed ^ node.size() as u64);
    for fault in FAULTS {
        let mut faults = BTreeMap::from([(dice.u32(1..=commits), fault)]);
        if dice.bool() {
            faults.insert(dice.u32(1..=commits), FAULTS[dice.usize(..4)]);
        }
        let told = |error| format!("{faults:?}: {error}");
        let (end, _) = disturbed(seed, node, &faults).map_err(told)?;
        if node.is_predictable() && end != whole {
            return Err(told(format!(
                "it came to {end}, and should come to {whole}"
            )));
        }
    }
    Ok(())
}

#[test]
fn a_store_fault_at_any_commit_is_never_the_failure_of_a_random_program() {
    for_programs("faults", Grammar::ALL, 300, a_fault_changes_nothing);
}

#[test]
fn a_store_fault_at_each_commit_of_three_tasks_is_told_and_then_forgotten() {
    let task = |ms| {
        Node::Task(Work {
            ms,
            ends: Ends::Well,
        })
    };
    let node = Node::Seq(vec![
        task(1),
        Node::Join(vec![task(5), task(5), task(2)]),
        task(3),
    ]);
    let (whole, commits) = undisturbed(7, &node).unwrap();
    for at in 1..=commits {
        for fault in FAULTS {
            let (end, failed) = disturbed(7, &node, &BTreeMap::from([(at, fault)]))
                .unwrap_or_else(|error| panic!("{fault:?} at {at}: {error}"));
            assert_eq!(end, whole, "{fault:?} at {at}");
            let is_told = fault != Fault::UnknownWritten;
            assert_eq!(failed, usize::from(is_told), "{fault:?} at {at}");
        }
    }
}
