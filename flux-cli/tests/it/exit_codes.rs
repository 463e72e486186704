//! Each exit code, by several commands. 130, of Ctrl-C, is seen elsewhere.

use crate::support::Folder;

fn check(code: i32, lines: &[&str]) {
    let folder = Folder::seeded();
    for line in lines {
        folder.run(line).exits(code);
    }
}

#[test]
fn zero_is_done() {
    check(
        0,
        &[
            "flux list",
            "flux list --workflow nobody",
            "flux show uncharged",
            "flux status uncharged",
            "flux result shipped",
            "flux events greeted --follow",
            "flux start count_stock",
            "shop run greet_person",
            "flux cancel --workflow nobody",
        ],
    );
}

#[test]
fn one_is_a_store_or_a_file() {
    check(
        1,
        &[
            "flux --db nowhere.db list",
            "flux --db flux.db/inside.db list",
            "flux db backup flux.db",
            "flux doctor",
        ],
    );
}

#[test]
fn two_is_a_slip_of_the_user() {
    check(
        2,
        &[
            "flux",
            "flux lst",
            "flux list --since soon",
            "flux list --status asleep",
            "flux run greet_person --input {",
            "shop run place_order --input '{}'",
            "shop resume inreview 7",
            "flux resume unsigned",
            "flux cancel",
            "flux cancel --status running",
            "flux replay shipped",
            "flux init Shop --tasks a",
            "flux list -q -v",
            "flux list --json -o id",
        ],
    );
}

#[test]
fn three_is_not_found_or_ambiguous() {
    check(
        3,
        &[
            "flux show nobody",
            "flux show 018e",
            "flux workflow show nobody",
            "flux schedule show nobody",
            "flux queue pause nobody",
            "flux status nobody",
            "shop run nobody",
        ],
    );
}

#[test]
fn four_is_a_failed_execution() {
    check(
        4,
        &[
            "flux result uncharged",
            "flux result outofstock --wait",
            "flux events panicked --follow",
            "flux show panicked --follow",
            "shop run place_order --input '{\"item\": \"air\"}'",
            "shop retry uncharged",
        ],
    );
}

#[test]
fn five_is_cancelled_or_terminated() {
    check(
        5,
        &[
            "flux result cancelled",
            "flux result terminated --wait",
            "flux events cancelled --follow",
            "flux show terminated --follow",
        ],
    );
}

#[test]
fn six_is_paused_or_a_wait_that_is_over() {
    check(
        6,
        &[
            "flux result inreview",
            "flux result sleeping --wait --timeout 20ms",
            "flux events unsigned --follow",
            "flux run count_stock --wait --timeout 20ms",
            "shop run review_order --input '{\"item\": \"tea\"}'",
            "shop run work_slowly --input 60000 --timeout 20ms",
        ],
    );
}

#[test]
fn seven_is_a_conflict() {
    check(
        7,
        &[
            "flux cancel shipped",
            "flux terminate uncharged --reason late",
            "flux signal shipped paid",
            "flux retry sleeping",
            "flux pause shipped",
            "flux status place_order --id inreview",
            "shop replay greeted",
        ],
    );
    let folder = Folder::empty();
    folder.run("shop run greet_person --id one").exits(0);
    folder
        .run("shop run greet_person --id one --input '{\"name\": \"other\"}'")
        .exits(7);
    folder.run("flux init shop --tasks a").exits(0);
    folder.run("flux init shop --tasks a").exits(7);
}
