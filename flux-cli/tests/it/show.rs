//! `show`, of an execution in every state.

use crate::support::{Folder, golden};

/// As a table, as JSON, and with all that can be asked for.
fn every_way(word: &str) -> String {
    let all = format!("flux show {word} --events --io --tree");
    Folder::seeded().transcript(&[
        &format!("flux show {word}"),
        &all,
        &format!("flux show {word} --json"),
    ])
}

#[test]
fn a_completed_one_has_its_result() {
    golden!(every_way("shipped"));
}

#[test]
fn of_a_failed_one_the_failure_comes_first() {
    golden!(every_way("uncharged"));
}

#[test]
fn one_that_decided_to_fail_has_its_own_words() {
    golden!(every_way("outofstock"));
}

#[test]
fn one_whose_code_panicked_says_so() {
    golden!(every_way("panicked"));
}

#[test]
fn one_at_a_pause_point_tells_what_it_wants() {
    golden!(every_way("inreview"));
}

#[test]
fn one_at_two_pause_points_has_a_command_for_each() {
    golden!(every_way("unsigned"));
}

#[test]
fn one_that_waits_for_a_signal_tells_until_when() {
    golden!(every_way("unpaid"));
}

#[test]
fn one_that_sleeps_tells_until_when() {
    golden!(every_way("sleeping"));
}

#[test]
fn one_that_tries_again_tells_when() {
    golden!(every_way("retrying"));
}

#[test]
fn one_on_hold_tells_why() {
    golden!(every_way("onhold"));
}

#[test]
fn a_cancelled_one_has_what_was_undone() {
    golden!(every_way("cancelled"));
}

#[test]
fn a_terminated_one_has_its_reason() {
    golden!(every_way("terminated"));
}

#[test]
fn one_in_a_queue_waits_its_turn() {
    golden!(every_way("queued"));
}

#[test]
fn one_that_is_to_start_later_tells_when() {
    golden!(every_way("later"));
}

#[test]
fn a_parent_has_its_children() {
    golden!(every_way("withchildren"));
}

#[test]
fn a_child_names_its_parent() {
    golden!(every_way("withchildren.4"));
}

#[test]
fn a_retried_one_has_both_attempts() {
    golden!(every_way("retried"));
}

#[test]
fn one_that_a_schedule_started_names_it() {
    golden!(every_way("nightly@2024-03-04T02:00:00Z"));
}

#[test]
fn one_whose_process_died_says_so() {
    golden!(every_way("crashed"));
}

#[test]
fn a_program_with_code_offers_to_go_on_here() {
    golden!(Folder::seeded().transcript(&["shop show unpaid", "shop show crashed"]));
}

/// A thousand events are shown whole where there is no terminal, each on a line.
#[test]
fn a_long_history_is_whole() {
    let folder = Folder::seeded();
    let shown = folder.run("flux show manypages").exits(0);
    assert_eq!(shown.stdout.matches("count_page ").count(), 499);
    let events = folder.run("flux events manypages").exits(0);
    assert_eq!(events.stdout.lines().count(), 1000);
    let events = folder.run("flux events manypages -o jsonl").exits(0);
    assert_eq!(events.stdout.lines().count(), 1000);
    let story = folder
        .run("flux show manypages --json --events")
        .exits(0)
        .json();
    assert_eq!(story["calls"].as_array().unwrap().len(), 499);
    assert_eq!(story["events"].as_array().unwrap().len(), 1000);
    let lines = shown.stdout.lines().enumerate();
    let ends: String = lines
        .filter(|(place, _)| !(10..495).contains(place))
        .map(|(_, line)| format!("{line}\n"))
        .collect();
    golden!(ends);
}
