//! `queue`.

use crate::support::{Folder, golden};

#[test]
fn queues_are_listed() {
    golden!(Folder::seeded().transcript(&[
        "flux queue list",
        "flux queue list -o wide",
        "flux queue list --json",
        "flux queue ls -o id",
    ]));
}

#[test]
fn queues_are_paused_and_resumed() {
    golden!(Folder::seeded().transcript(&[
        "flux queue pause emails",
        "flux queue resume letters",
        "flux queue resume emails --json",
        "flux queue pause emials",
    ]));
}

#[test]
fn limits_are_set() {
    golden!(Folder::seeded().transcript(&[
        "flux queue set parcels --concurrency 3 --rate 10/s",
        "flux queue set emails --concurrency none --rate none --partition-by none",
        "flux queue set new --per-worker 2 --json",
        "flux queue set emails",
        "flux queue set emails --rate often",
        "flux queue set emails --concurrency many",
        "flux queue set emails --concurrency 0",
        "flux queue set emails --per-worker 0 --rate 5/s",
        "flux queue set emails --rate 0/min",
        "flux queue list",
    ]));
}

#[test]
fn without_queues_it_says_so() {
    let folder = Folder::empty();
    folder.run("flux db migrate").exits(0);
    golden!(folder.transcript(&["flux queue list", "flux queue list --json"]));
}
