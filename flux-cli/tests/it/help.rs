//! `help` of everything, completions, the manual page.

use crate::support::{Folder, golden};

/// The words that come after the program's name, of each command there is.
const COMMANDS: &[&str] = &[
    "list",
    "show",
    "status",
    "result",
    "events",
    "workflow",
    "workflow list",
    "workflow show",
    "run",
    "start",
    "worker",
    "worker list",
    "schedule",
    "schedule list",
    "schedule show",
    "schedule create",
    "schedule pause",
    "schedule resume",
    "schedule trigger",
    "schedule delete",
    "schedule preview",
    "schedule backfill",
    "queue",
    "queue list",
    "queue pause",
    "queue resume",
    "queue set",
    "signal",
    "resume",
    "pause",
    "cancel",
    "terminate",
    "retry",
    "db",
    "db info",
    "db check",
    "db migrate",
    "db backup",
    "doctor",
    "replay",
    "init",
    "completions",
    "man",
];

#[test]
fn the_first_page_has_every_command() {
    let folder = Folder::empty();
    let first = folder.run("flux --help").exits(0);
    assert_eq!(folder.run("flux help").exits(0).stdout, first.stdout);
    assert_eq!(folder.run("flux -h").exits(0).stdout, first.stdout);
    let bare = folder.run("flux").exits(2);
    assert_eq!(
        (bare.stdout.as_str(), bare.stderr),
        ("", first.stdout.clone())
    );
    golden!(first.transcript());
}

#[test]
fn each_command_has_help() {
    let folder = Folder::empty();
    for command in COMMANDS {
        let help = folder.run(&format!("flux help {command}")).exits(0);
        let name = format!("help_{}", command.replace(' ', "_"));
        plain().bind(|| insta::assert_snapshot!(name, help.stdout));
        let line = format!("flux {command} --help");
        assert_eq!(folder.run(&line).exits(0).stdout, help.stdout, "{line}");
    }
}

/// The ids of examples are to be seen.
fn plain() -> insta::Settings {
    let mut plain = insta::Settings::clone_current();
    plain.set_omit_expression(true);
    plain
}

#[test]
fn a_slip_is_told_the_nearest() {
    golden!(Folder::empty().transcript(&[
        "flux shwo 7",
        "flux lst",
        "flux queue puase emails",
        "flux list --stauts failed",
        "flux xyzzy",
        "flux help xyzzy",
    ]));
}

#[test]
fn shells_complete_commands() {
    let folder = Folder::empty();
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = folder.run(&format!("flux completions {shell}")).exits(0);
        for word in ["terminate", "backfill", "no-headers"] {
            assert!(script.stdout.contains(word), "{shell} has no {word}");
        }
        assert_eq!(script.stderr, "");
    }
    let script = folder.run("shop completions bash").exits(0);
    assert!(
        script.stdout.contains("complete -F _shop"),
        "{}",
        script.stdout
    );
    folder.run("flux completions tcsh").exits(2);
}

#[test]
fn there_is_a_manual_page() {
    let man = Folder::empty().run("flux man").exits(0).stdout;
    assert!(man.contains(".TH flux 1"), "{man}");
    for command in COMMANDS.iter().filter(|command| !command.contains(' ')) {
        assert!(man.contains(command), "no {command} in {man}");
    }
}

#[test]
fn the_version_is_told() {
    let version = Folder::empty().run("flux --version").exits(0).stdout;
    assert_eq!(version, format!("flux {}\n", env!("CARGO_PKG_VERSION")));
}
