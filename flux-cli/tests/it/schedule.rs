//! `schedule`.

use crate::support::{Folder, golden};

#[test]
fn schedules_are_listed_and_shown() {
    golden!(Folder::seeded().transcript(&[
        "flux schedule list",
        "flux schedule list -o wide",
        "flux schedule list --json",
        "flux schedule ls -o id",
        "flux schedule show nightly",
        "flux schedule show poll",
        "flux schedule show nightly --json",
        "flux schedule show nightle",
    ]));
}

#[test]
fn a_schedule_is_created_or_replaced() {
    golden!(Folder::seeded().transcript(&[
        "flux schedule create daily --workflow remind --cron @daily --input '\"stretch\"'",
        "flux schedule create often --workflow remind --every 5m --overlap allow --catch-up none --jitter 10s --input 1 --json",
        "flux schedule create daily --workflow remind --cron '30 9 * * MON-FRI' --zone Europe/Berlin --input 1",
        "flux schedule create bad --workflow remind --input 1 --cron '99 * * * *'",
        "flux schedule create bad --workflow remind --input 1 --cron @daily --zone Mars/Olympus",
        "flux schedule create bad --workflow remind",
        "flux schedule create bad --workflow remind --every 5m",
        "flux schedule create bad --workflow remnd --every 5m",
        "shop schedule create shop --workflow place_oder --every 5m",
        "shop schedule create shop --workflow place_order --every 5m",
        "flux schedule list",
    ]));
}

#[test]
fn a_schedule_is_paused_resumed_and_deleted() {
    golden!(Folder::seeded().transcript(&[
        "flux schedule pause nightly",
        "flux schedule preview nightly -n 2",
        "flux schedule resume nightly",
        "flux schedule resume poll --json",
        "flux schedule delete poll",
        "flux schedule delete poll",
        "flux schedule delete nightly --json",
        "flux schedule list",
    ]));
}

#[test]
fn its_moments_are_told() {
    golden!(Folder::seeded().transcript(&[
        "flux schedule preview nightly -n 3",
        "flux schedule preview nightly -n 3 --time iso",
        "flux schedule preview nightly -n 2 --json",
        "flux schedule preview nightly -n 2 -o jsonl",
    ]));
}

#[test]
fn an_execution_is_started_now_or_for_what_was_missed() {
    golden!(Folder::seeded().transcript(&[
        "flux schedule trigger nightly",
        "flux schedule backfill nightly --from 2024-02-28 --to 2024-03-02",
        "flux schedule backfill nightly --from 2024-02-28 --to 2024-03-02",
        "flux schedule backfill nightly --from 2024-03-01 --to 2024-03-04 --json",
        "flux schedule backfill nightly --from soon",
        "flux schedule trigger nobody",
    ]));
}

#[test]
fn without_schedules_it_says_so() {
    let folder = Folder::empty();
    folder.run("flux db migrate").exits(0);
    golden!(folder.transcript(&["flux schedule list", "flux schedule list --json"]));
}
