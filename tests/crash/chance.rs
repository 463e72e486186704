//! Random programs, killed at random moments from outside, again and again.

use std::collections::BTreeMap;
use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::harness::{Ground, Style, in_virtual_time};
use crate::history::{self, lines};
use crate::process::{Fate, Histories, Site, ended};
use crate::program::{Grammar, Node};
use crate::sweep::count;
use crate::trial::{quiet_planned_panics, seeds, some_programs};

/// The histories at one moment, and how often each body was done.
type Found = (Histories, BTreeMap<String, u32>);

/// What a program comes to when nobody disturbs it.
fn undisturbed(seed: u64, node: &Node) -> String {
    in_virtual_time(seed, async {
        let ground = Ground::new();
        let run = ground
            .live(false, None)
            .await
            .run(Style::Task, node)
            .await
            .unwrap();
        ground.world.set_engine(None);
        run.output()
            .map_or_else(|| run.status().to_string(), u64::to_string)
    })
}

/// Kills the program a few times, then lets it come to its end.
fn killed_at_random(seed: u64, node: &Node) -> Result<u32, String> {
    let mut dice = fastrand::Rng::with_seed(seed);
    let wanted = undisturbed(seed, node);
    let whole = Site::new();
    let began = Instant::now();
    let first = whole.play(&Fate::Lives, Some(node));
    if first.output.as_ref() != Some(&wanted) {
        return Err(format!("it should come to {wanted}: {}", first.said));
    }
    let longest = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);

    let site = Site::new();
    let mut kills = 0;
    let mut before = (Histories::new(), BTreeMap::new());
    for _ in 0..dice.u32(1..=4) {
        let mut child = site.start(&Fate::Lives, Some(node));
        sleep(Duration::from_millis(dice.u64(0..=longest)));
        let _ = child.kill();
        kills += u32::from(ended(child).was_killed);
        let now = (site.histories(), count(&site.traces(), "end"));
        check_continued(&before, &now)?;
        before = now;
    }
    let last = site.play(&Fate::Lives, Some(node));
    if last.output.as_ref() != Some(&wanted) {
        return Err(format!("it should come to {wanted}: {}", last.said));
    }
    site.check_whole()?;
    check_continued(&before, &(site.histories(), count(&site.traces(), "end")))?;
    let done = count(&site.traces(), "end");
    match done.iter().find(|(_, times)| **times > kills + 1) {
        Some((key, times)) => Err(format!("{key} was done {times} times in {kills} crashes")),
        None => Ok(kills),
    }
}

/// What was there is still there, and nothing that was recorded as done was done again.
fn check_continued(before: &Found, now: &Found) -> Result<(), String> {
    for (id, (_, events)) in &before.0 {
        let after = &now.0[id].1;
        if after.get(..events.len()) != Some(events) {
            return Err(format!(
                "{id} was:\n{}and is:\n{}",
                lines(events),
                lines(after)
            ));
        }
        for key in history::completed_bodies(id, events) {
            if before.1.get(&key) != now.1.get(&key) {
                return Err(format!("the recorded body {key} ran again"));
            }
        }
    }
    Ok(())
}

#[test]
fn killed_at_random_moments_a_random_program_comes_to_the_same() {
    let grammar = Grammar {
        races: false,
        longest: 20,
        ..Grammar::ALL
    };
    quiet_planned_panics();
    for seed in seeds() {
        let mut kills = 0;
        for node in some_programs(grammar, seed, 12) {
            kills += killed_at_random(seed, &node).unwrap_or_else(|error| {
                let json = serde_json::to_string(&node).unwrap();
                panic!("FLUX_SEED={seed}: {json}: {error}")
            });
        }
        println!("seed {seed}: {kills} processes killed");
    }
}
