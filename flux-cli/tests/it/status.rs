//! `status`: the latest of a workflow, in brief (AT-26).

use crate::support::{Folder, golden};

#[test]
fn the_latest_of_a_workflow_is_told_in_brief() {
    golden!(Folder::seeded().transcript(&[
        "flux status place_order",
        "flux status review_order",
        "flux status remind",
        "flux status send_email",
        "flux status unsigned",
        "flux status place_order --id shipped",
        "flux status place_order -o id",
    ]));
}

#[test]
fn verbose_has_every_event() {
    golden!(Folder::seeded().transcript(&[
        "flux status place_order --id shipped --verbose",
        "flux status cancelled -v",
    ]));
}

/// A signal without its name, and a timer in microseconds, told nothing.
#[test]
fn verbose_names_signals_pause_points_and_times() {
    golden!(Folder::seeded().transcript(&["flux status unpaid -v", "flux status retrying -v"]));
}

/// It was told as if it ran.
#[test]
fn one_whose_process_died_is_told_to_have_crashed() {
    let folder = Folder::seeded();
    let status = folder.run("flux status crashed").exits(0);
    assert!(
        status.stdout.contains("Workflow 'print_label' has crashed"),
        "{}",
        status.stdout
    );
    let note = "crashed: its process is gone";
    assert!(status.stdout.contains(note), "{}", status.stdout);
    let listed = folder.run("flux list --workflow print_label").exits(0);
    assert!(listed.stdout.contains(note), "{}", listed.stdout);
    let json = folder.run("flux status crashed --json").json();
    assert_eq!(json["worker_is_alive"], false);
    let json = folder.run("flux status sleeping --json").json();
    assert_eq!(json["worker_is_alive"], serde_json::Value::Null);
}

#[test]
fn of_a_failed_one_the_failing_task_comes_first() {
    let folder = Folder::seeded();
    let status = folder.run("flux status uncharged --verbose").exits(0);
    let first = status.stdout.lines().next().unwrap();
    assert_eq!(
        first,
        "Failed: `charge` failed on attempt 3: nothing to charge"
    );
    golden!(status.transcript());
}

#[test]
fn its_json_parses() {
    let folder = Folder::seeded();
    let brief = folder.run("flux status uncharged --json").exits(0);
    assert_eq!(brief.json()["failure"]["task"], "charge");
    let verbose = folder.run("flux status shipped --verbose --json").exits(0);
    assert_eq!(verbose.json()["events"].as_array().unwrap().len(), 8);
    golden!(format!("{}\n{}", brief.transcript(), verbose.transcript()));
}

#[test]
fn what_is_not_there_is_said() {
    golden!(Folder::seeded().transcript(&[
        "flux status place_oder",
        "flux status place_order --id inreview",
        "flux status place_order --id nobody",
    ]));
}
