//! What a retry of a failed execution runs again, which a person should know before.

use flux_core::{CallInfo, CallStatus, Failure};

/// One line each; nothing where only what failed is tried again. `calls` are those of the code that begins again, in this
/// execution and its children.
pub(crate) fn again(failure: &Failure, calls: &[CallInfo]) -> Vec<String> {
    let mut lines = Vec::new();
    if repeats_undone(failure) {
        lines.push(undone(failure));
        lines.extend(asked_again(calls));
    }
    lines.extend(unknown(failure));
    lines
}

/// The same without the calls, for lists and where they would have to be read first.
pub(crate) fn again_in_short(failure: &Failure) -> Option<String> {
    let lines = again(failure, &[]);
    (!lines.is_empty()).then(|| lines.join("; "))
}

/// Whether it begins code again that was rolled back: the execution's own, or that of a child.
pub(crate) fn repeats_undone(failure: &Failure) -> bool {
    failure.is_rolled_back() || failure.undone().next().is_some()
}

fn undone(failure: &Failure) -> String {
    let tasks: Vec<&str> = failure.undone().collect();
    match tasks.as_slice() {
        [] => "rolled back: its code begins again".to_owned(),
        [task] => format!("rolled back: {task}; it runs again under a new key"),
        tasks => format!(
            "rolled back: {}; they run again under new keys",
            tasks.join(", ")
        ),
    }
}

/// The answers that were about what was undone.
fn asked_again(calls: &[CallInfo]) -> Option<String> {
    let is_asked_again = |call: &&CallInfo| {
        call.status() == CallStatus::Completed && call.is_asked_again_after_rollback()
    };
    let mut names: Vec<String> = Vec::new();
    for call in calls.iter().filter(is_asked_again) {
        let name = format!("`{}`", call.name());
        if !names.contains(&name) {
            names.push(name);
        }
    }
    (!names.is_empty()).then(|| format!("waits again for {}", names.join(", ")))
}

fn unknown(failure: &Failure) -> Option<String> {
    let tasks: Vec<String> = failure
        .unknown_outcomes()
        .map(|task| format!("`{task}`"))
        .collect();
    match tasks.as_slice() {
        [] => None,
        [task] => Some(format!("{task} may have done its work, and runs again")),
        tasks => Some(format!(
            "{} may have done their work, and run again",
            tasks.join(", ")
        )),
    }
}
