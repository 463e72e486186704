//! `replay`: today's code against what was recorded.

use crate::support::{Folder, golden};

#[test]
fn code_that_fits_is_said_to() {
    golden!(Folder::seeded().transcript(&[
        "shop replay shipped",
        "shop replay uncharged inreview unpaid withchildren",
        "shop replay --workflow place_order --json",
    ]));
}

#[test]
fn code_that_parts_from_the_history_is_shown_with_both_sides() {
    let folder = Folder::seeded();
    golden!(folder.transcript(&[
        "shop replay greeted",
        "shop replay greeted --json",
        "shop replay greeted shipped -q",
    ]));
    assert_eq!(folder.run("shop replay greeted").code, Some(7));
}

#[test]
fn without_the_code_nothing_is_replayed() {
    golden!(Folder::seeded().transcript(&[
        "flux replay shipped",
        "shop replay onhold",
        "shop replay --workflow nobody",
    ]));
}
