//! A live run, its replay after a crash, and always-replay agree.

use std::collections::BTreeMap;

use flux::{Event, EventKind, Execution, Status};

use super::brittle::Crash;
use super::harness::{Ground, ID, Style, check_histories, crash_of, in_virtual_time};
use super::history::{self, lines};
use super::program::{Draw, Grammar, Node};
use super::trial::for_programs;
use super::world::by_place;

type Checked = Result<(), String>;

fn end_of(run: &Execution<u64>) -> String {
    match run.output() {
        Some(output) => format!("completed with {output}"),
        None => format!("{}", run.status()),
    }
}

/// Runs undisturbed; how it ended, its histories, and how many writes it took.
fn undisturbed(
    seed: u64,
    node: &Node,
    always_replay: bool,
) -> Result<(String, BTreeMap<String, (Status, Vec<Event>)>, u32), String> {
    in_virtual_time(seed, async {
        let ground = Ground::new();
        let life = ground.live(always_replay, None).await;
        let run = life
            .run(Style::Task, node)
            .await
            .map_err(|error| error.to_string())?;
        check_histories(&ground).await?;
        for (id, seen) in ground.world.seen() {
            by_place(&seen).map_err(|error| format!("{id}: {error}"))?;
        }
        ground.world.set_engine(None);
        Ok((
            end_of(&run),
            ground.histories().await,
            life.brittle.writes(),
        ))
    })
}

/// Hides what is drawn anew in every run.
fn without_uuids(mut events: Vec<Event>) -> Vec<Event> {
    for event in &mut events {
        if event.kind == EventKind::ValueRecorded && event.name.as_deref() == Some("uuid") {
            event.payload = None;
        }
    }
    events
}

fn live_and_always_replay_agree(seed: u64, node: &Node) -> Checked {
    let (live, live_histories, _) = undisturbed(seed, node, false)?;
    let (replayed, replayed_histories, _) = undisturbed(seed, node, true)?;
    // What a uuid chooses, and what a hash map begins with, differs from run to run: then it is enough that the
    // replays find nothing wrong.
    let differs = |part: &Node| matches!(part, Node::Coin(Draw::Uuid, ..) | Node::Shuffled(_));
    if node.count(&differs) > 0 {
        return Ok(());
    }
    if live != replayed {
        return Err(format!("the live run {live}, the replayed one {replayed}"));
    }
    for (id, (_, events)) in live_histories {
        let other = replayed_histories
            .get(&id)
            .cloned()
            .unwrap_or((Status::Running, Vec::new()));
        if without_uuids(events.clone()) != without_uuids(other.1.clone()) {
            return Err(format!(
                "{id} live:\n{}always replayed:\n{}",
                lines(&events),
                lines(&other.1)
            ));
        }
    }
    Ok(())
}

/// Crashes at `crash`, again and again in new processes, until one comes through.
fn crashed(
    seed: u64,
    node: &Node,
    crashes: &[Crash],
    always_replay: bool,
) -> Result<String, String> {
    in_virtual_time(seed, async {
        let ground = Ground::new();
        let mut before: Option<Before> = None;
        for crash in crashes {
            let life = ground.live(always_replay, Some(*crash)).await;
            let ran = crash_of(&life, life.run(Style::Task, node)).await;
            let mut now = Before::of(&ground, life.brittle.committed()).await;
            if let Some(before) = before {
                before.check(&ground, &now, false)?;
                now.add_seen(before);
            }
            before = Some(now);
            ground.world.forget_seen();
            if let Some(ran) = ran {
                let _ = ran.map_err(|error| format!("{crash:?}: {error}"))?;
                break;
            }
        }
        let life = ground.live(always_replay, None).await;
        let ran = life.run(Style::Task, node).await;
        ground.world.set_engine(None);
        let run = match ran {
            Ok(run) => run,
            Err(error) => {
                let (_, events) = ground
                    .histories()
                    .await
                    .remove(ID)
                    .unwrap_or_default_history();
                return Err(format!("after {crashes:?}: {error}\n{}", lines(&events)));
            }
        };
        check_histories(&ground)
            .await
            .map_err(|error| format!("after {crashes:?}: {error}"))?;
        if let Some(before) = before {
            let now = Before::of(&ground, life.brittle.committed()).await;
            before
                .check(&ground, &now, true)
                .map_err(|error| format!("after {crashes:?}: {error}"))?;
        }
        Ok(end_of(&run))
    })
}

trait OrNothing {
    fn unwrap_or_default_history(self) -> (Status, Vec<Event>);
}

impl OrNothing for Option<(Status, Vec<Event>)> {
    fn unwrap_or_default_history(self) -> (Status, Vec<Event>) {
        self.unwrap_or((Status::Running, Vec::new()))
    }
}

/// What was there when a process died.
struct Before {
    histories: BTreeMap<String, (Status, Vec<Event>)>,
    /// What the code of each execution had seen behind its last commit.
    seen: BTreeMap<String, Vec<(String, String)>>,
    begun: BTreeMap<String, u32>,
}

impl Before {
    async fn of(ground: &Ground, committed: BTreeMap<String, usize>) -> Self {
        let mut seen = ground.world.seen();
        for (id, seen) in &mut seen {
            seen.truncate(committed.get(id).copied().unwrap_or(0));
        }
        Self {
            histories: ground.histories().await,
            seen,
            begun: ground.world.begun(),
        }
    }

    /// A process that died early may not have got as far again.
    fn add_seen(&mut self, before: Self) {
        for (id, seen) in before.seen {
            self.seen.entry(id).or_default().extend(seen);
        }
    }

    /// What is there now is a continuation of it. `whole`: the last process has come to the end.
    fn check(&self, ground: &Ground, now: &Self, whole: bool) -> Checked {
        for (id, (status, events)) in &self.histories {
            let after = &now.histories[id].1;
            if after.get(..events.len()) != Some(events) {
                return Err(format!(
                    "{id} was:\n{}and is:\n{}",
                    lines(events),
                    lines(after)
                ));
            }
            for key in history::completed_bodies(id, events) {
                let (once, now) = (self.begun.get(&key), now.begun.get(&key));
                if once != now {
                    return Err(format!(
                        "the recorded body {key} began {once:?}, then {now:?} times"
                    ));
                }
            }
            let replayed = ground.world.seen().remove(id).unwrap_or_default();
            let replayed = by_place(&replayed).map_err(|error| format!("{id}: {error}"))?;
            let seen = self.seen.get(id).map(Vec::as_slice).unwrap_or_default();
            if status.is_finished() || replayed.is_empty() {
                continue;
            }
            for (place, value) in by_place(seen)? {
                let again = replayed.get(place);
                if again != Some(&value) && (whole || again.is_some()) {
                    let replayed = replayed.get(place);
                    return Err(format!(
                        "{id}: place {place} showed {value}, and after the crash {replayed:?}\n{}then\n{}",
                        lines(events),
                        lines(after)
                    ));
                }
            }
        }
        Ok(())
    }
}

fn a_crash_changes_nothing(seed: u64, node: &Node) -> Checked {
    let (whole, _, writes) = undisturbed(seed, node, false)?;
    let mut dice = fastrand::Rng::with_seed(seed ^ node.size() as u64);
    for round in 0..4 {
        let crashes: Vec<Crash> = (0..dice.usize(1..=3))
            .map(|_| Crash {
                at: dice.u32(1..=writes),
                after: dice.bool(),
            })
            .collect();
        let end = crashed(seed, node, &crashes, round % 2 == 1)?;
        if node.is_predictable() && end != whole {
            return Err(format!(
                "undisturbed it {whole}, after {crashes:?} it {end}"
            ));
        }
    }
    Ok(())
}

#[test]
fn a_live_run_and_an_always_replayed_one_write_the_same_history() {
    for_programs("agree", Grammar::ALL, 500, live_and_always_replay_agree);
}

#[test]
fn a_crash_at_any_write_is_followed_by_a_continuation() {
    for_programs("crash", Grammar::ALL, 300, a_crash_changes_nothing);
}

#[test]
fn a_crash_does_not_change_the_output_of_a_program_without_races() {
    let grammar = Grammar {
        races: false,
        ..Grammar::ALL
    };
    for_programs("output", grammar, 200, a_crash_changes_nothing);
}
