//! `signal`, `resume`, `retry`, `pause`, `cancel`, `terminate`.

use crate::support::{Folder, golden};

#[test]
fn a_signal_is_sent() {
    golden!(Folder::seeded().transcript(&[
        "flux signal unpaid paid 20000",
        "flux signal unpaid paid 20000 --dedup invoice-7",
        "flux signal unpaid paid 20000 --dedup invoice-7",
        "flux signal unpaid paid not-json",
        "flux signal shipped paid 1",
        "flux signal nobody paid 1",
        "flux signal thchildren.4 picked_up --json",
    ]));
}

/// A slip in the name was accepted with exit code 0 and shown nowhere.
#[test]
fn a_signal_that_no_call_has_asked_for_is_warned_about_and_shown() {
    golden!(Folder::seeded().transcript(&[
        "flux signal unpaid payd 20000",
        "flux signal unpaid payd 20000 -q",
        "flux signal unpaid thanks",
        "flux signal inreview hurry",
        "flux show unpaid",
        "flux status unpaid",
        "flux show inreview --json",
    ]));
}

/// Only the code knows the type; a worker that has it leaves the signal where it is.
#[test]
fn a_signal_of_another_type_is_warned_about() {
    let folder = Folder::empty();
    let real = |line: &str| folder.call(line).in_real_time().run();
    real("flux start review_order --id lamp --input '{\"item\": \"lamp\"}'").exits(0);
    let mut worker = folder.call("shop worker").in_real_time().spawn();
    let waits_for = |what: &str| while !real("flux status lamp").stdout.contains(what) {};
    waits_for("at `review`");
    real("flux resume lamp '{\"approved\": true}'").exits(0);
    waits_for("waits for signal `paid`");
    let sent = real("flux signal lamp paid '\"a lot\"'").exits(0);
    let says = "has not taken this one: its value may be of another type";
    assert!(sent.stderr.contains(says), "{}", sent.transcript());
    let shown = real("flux status lamp").exits(0);
    let says =
        "signal `paid`, which its code waits for: it is not delivered yet, or of another type";
    assert!(shown.stdout.contains(says), "{}", shown.transcript());
    worker.kill().unwrap();
    worker.wait().unwrap();
}

#[test]
fn without_the_code_a_worker_is_asked_to_resume() {
    golden!(Folder::seeded().transcript(&[
        "flux resume inreview '{\"approved\": true}'",
        "flux resume onhold",
        "flux resume onhold --json",
        "flux resume inreview",
        "flux resume unsigned",
        "flux resume unsigned 7 --at price",
        "flux resume unsigned --at nowhere",
        "flux resume shipped",
        "flux resume sleeping",
    ]));
}

#[test]
fn with_the_code_it_goes_on_here() {
    let folder = Folder::seeded();
    let declined = folder
        .run("shop resume inreview '{\"approved\": false}'")
        .exits(0);
    assert!(
        declined.stdout.contains("Completed after "),
        "{}",
        declined.stdout
    );
    assert!(
        declined.stdout.ends_with("Result:\n\"declined\"\n"),
        "{}",
        declined.stdout
    );
    let result = folder.run("flux result inreview").exits(0);
    assert_eq!(result.stdout, "\"declined\"\n");
    // What has completed is told once more.
    folder.run("shop resume inreview").exits(0);
    golden!(folder.transcript(&["shop resume unsigned 7 --at price"]));
}

/// What the pause point cannot take is refused, and nothing is recorded.
#[test]
fn a_wrong_answer_is_refused() {
    let folder = Folder::seeded();
    let before = folder.run("flux events inreview").stdout;
    golden!(folder.transcript(&[
        "shop resume inreview",
        "shop resume inreview 7",
        "shop resume inreview '{\"approved\": \"yes\"}'",
    ]));
    assert_eq!(folder.run("flux events inreview").stdout, before);
}

#[test]
fn what_failed_is_retried() {
    golden!(Folder::seeded().transcript(&[
        "flux retry uncharged",
        "flux retry uncharged --json",
        "flux retry outofstock panicked",
        "flux retry shipped",
        "flux retry sleeping",
    ]));
}

#[test]
fn with_the_code_it_is_retried_here() {
    let folder = Folder::seeded();
    let retried = folder.run("shop retry uncharged").exits(4);
    assert!(
        retried.stdout.contains("`charge` failed on attempt"),
        "{}",
        retried.transcript()
    );
    let events = folder.run("flux events uncharged").exits(0);
    assert!(events.stdout.contains("REWOUND"), "{}", events.stdout);
}

#[test]
fn executions_are_paused() {
    golden!(Folder::seeded().transcript(&[
        "flux pause sleeping",
        "flux pause sleeping --json",
        "flux pause unpaid retrying",
        "flux pause queued",
        "flux pause shipped",
    ]));
}

#[test]
fn executions_are_cancelled() {
    golden!(Folder::seeded().transcript(&[
        "flux cancel queued",
        "flux cancel later --json",
        "flux cancel sleeping",
        "flux cancel shipped",
        "flux cancel stuck shipped",
        "flux cancel nobody",
    ]));
}

#[test]
fn with_the_code_what_nobody_drives_is_cancelled_here() {
    let folder = Folder::seeded();
    let cancelled = folder.run("shop cancel unpaid").exits(0);
    assert_eq!(cancelled.stdout, "Cancelled 000000unpaid (review_order)\n");
    folder.run("flux result unpaid").exits(5);
}

#[test]
fn executions_are_terminated() {
    golden!(Folder::seeded().transcript(&[
        "flux terminate sleeping --reason 'not needed'",
        "flux terminate unpaid --reason 'wrong customer' --json",
        "flux terminate queued crashed --reason cleanup",
        "flux terminate shipped --reason late",
        "flux terminate inreview",
    ]));
}

#[test]
fn many_are_asked_about_first() {
    let folder = Folder::seeded();
    let before = folder.run("flux list").stdout;
    golden!(folder.transcript(&[
        "flux cancel --status running --workflow remind",
        "flux terminate --status paused --reason stale",
        "flux pause --workflow review_order",
        "flux resume --status failed",
        "flux retry --status failed --workflow place_order",
        "flux cancel",
        "flux cancel sleeping --status running",
        "flux cancel --workflow nobody",
    ]));
    assert_eq!(folder.run("flux list").stdout, before, "nothing was done");
}

#[test]
fn many_are_done_at_once_with_yes() {
    golden!(Folder::seeded().transcript(&[
        "flux pause --status running --workflow remind -y",
        "flux resume --status paused --workflow remind -y",
        "flux retry --status failed -y",
        "flux cancel --status pending -y",
        "flux terminate --status paused,running --since 1d --reason stale -y -o id",
        "flux cancel --workflow place_order -y",
    ]));
}
