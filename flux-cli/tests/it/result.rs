//! `result` and `events`.

use crate::support::{Folder, golden};

#[test]
fn a_result_is_json_alone() {
    golden!(Folder::seeded().transcript(&[
        "flux result shipped",
        "flux result manypages --json",
        "flux result greeted -o jsonl",
    ]));
}

#[test]
fn without_a_result_it_says_why() {
    golden!(Folder::seeded().transcript(&[
        "flux result uncharged",
        "flux result outofstock",
        "flux result cancelled",
        "flux result terminated",
        "flux result inreview",
        "flux result onhold",
        "flux result sleeping",
        "flux result queued",
    ]));
}

#[test]
fn a_wait_ends_with_the_pause_or_the_time() {
    golden!(Folder::seeded().transcript(&[
        "flux result shipped --wait",
        "flux result inreview --wait",
        "flux result sleeping --wait --timeout 30ms",
        "flux result sleeping --timeout 30ms",
    ]));
}

#[test]
fn events_are_lines() {
    golden!(Folder::seeded().transcript(&[
        "flux events shipped",
        "flux events uncharged --io",
        "flux events unpaid",
        "flux events cancelled --time iso",
        "flux events retried",
        "flux events shipped -o id",
    ]));
}

#[test]
fn events_are_json() {
    golden!(Folder::seeded().transcript(&[
        "flux events uncharged --json",
        "flux events terminated -o jsonl",
    ]));
}

/// Piped, what is followed is JSON; it ends as the execution did.
#[test]
fn what_has_finished_is_followed_to_its_end() {
    golden!(Folder::seeded().transcript(&[
        "flux events greeted --follow",
        "flux show outofstock --follow",
        "flux events outofstock --follow -o table",
    ]));
}
