//! `list`.

use crate::support::{Folder, golden};

#[test]
fn everything_is_listed_newest_first() {
    golden!(Folder::seeded().transcript(&["flux list", "flux list -o wide", "flux ls -o id"]));
}

#[test]
fn a_list_is_json_or_a_line_of_json_for_each() {
    golden!(Folder::seeded().transcript(&["flux list --json", "flux list -o jsonl -n 3"]));
}

#[test]
fn filters_choose() {
    golden!(Folder::seeded().transcript(&[
        "flux list --status failed",
        "flux list --status failed,paused --workflow review_order",
        "flux list -s running -s pending --queue parcels",
        "flux list --workflow place_order -o id",
        "flux list --since 160m",
        "flux list --since 2024-03-04T09:25:00Z --status pending",
        "flux list --tag shop",
        "flux list --schedule nightly",
        "flux list --parent withchildren",
    ]));
}

#[test]
fn a_page_says_how_to_see_the_next() {
    golden!(Folder::seeded().transcript(&[
        "flux list -n 3",
        "flux list -n 3 --before 0000000stuck",
        "flux list -n 3 --before 000uncharged",
        "flux list -n 2 -o id",
    ]));
}

#[test]
fn where_there_is_none_it_says_so() {
    golden!(Folder::seeded().transcript(&[
        "flux list --workflow nobody",
        "flux list --workflow nobody --json",
        "flux list --workflow nobody -o jsonl",
        "flux list --workflow nobody -o id",
        "flux list --status asleep",
        "flux list --since soon",
        "flux list --before nobody",
    ]));
}
