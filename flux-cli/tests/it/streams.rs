//! What goes to standard output, and what to standard error.

use std::io::{BufRead, BufReader};

use crate::support::{Folder, golden};

#[test]
fn standard_output_has_data_only() {
    let folder = Folder::seeded();
    for (line, code) in [
        ("flux list --workflow nobody", 0),
        ("flux show nobody", 3),
        ("flux result uncharged", 4),
        ("flux cancel --status running", 2),
        ("flux list --since soon", 2),
    ] {
        let ran = folder.run(line).exits(code);
        assert!(!ran.stderr.is_empty(), "{line} says nothing");
        assert!(!ran.stdout.contains("error"), "{line}: {}", ran.stdout);
    }
    let page = folder.run("flux list -n 2").exits(0);
    assert_eq!(page.stdout.lines().count(), 3);
    assert!(page.stderr.contains("--before"), "{}", page.stderr);
}

#[test]
fn quiet_says_no_more_than_was_asked() {
    let folder = Folder::seeded();
    for line in [
        "flux list -n 2 -q",
        "flux start count_stock -q",
        "flux resume onhold -q",
        "flux cancel --workflow send_email -y -q",
        "shop run greet_person -q",
    ] {
        let ran = folder.run(line).exits(0);
        assert_eq!(ran.stderr, "", "{line}");
        assert!(!ran.stdout.is_empty(), "{line} prints nothing");
    }
    let shown = folder.run("flux show shipped -q").exits(0);
    assert!(!shown.stdout.contains("What next"), "{}", shown.stdout);
    let failed = folder.run("flux show nobody -q").exits(3);
    assert!(failed.stderr.starts_with("error: "), "{}", failed.stderr);
}

/// `flux list -o id .. | xargs flux cancel`.
#[test]
fn ids_of_one_command_are_words_of_the_next() {
    let folder = Folder::seeded();
    let ids = folder
        .run("flux list --status pending -o id")
        .exits(0)
        .stdout;
    assert_eq!(ids.lines().count(), 3);
    let words: Vec<_> = ids.lines().collect();
    let cancelled = folder
        .run(&format!("flux cancel {} -o id", words.join(" ")))
        .exits(0);
    assert_eq!(cancelled.stdout, ids);
    assert_eq!(
        folder
            .run("flux list --status pending -o id")
            .exits(0)
            .stdout,
        ""
    );
}

#[test]
fn a_table_is_never_cut_in_a_pipe() {
    let folder = Folder::seeded();
    let long = |of: &str| of.repeat(40);
    let (workflow, id, why) = (long("flow"), long("an-id-"), long("because "));
    folder
        .run(&format!("flux start {workflow} --id {id} -q -y"))
        .exits(0);
    folder
        .run(&format!("flux terminate {id} --reason '{why}'"))
        .exits(0);
    let first = |line: &str| {
        let lines = folder.call(line).env("COLUMNS", "40").run().exits(0).stdout;
        lines.lines().nth(1).unwrap().to_owned()
    };
    for line in ["flux list", "flux list -o wide"] {
        let row = first(line);
        assert!(
            row.contains(&workflow) && row.contains(why.trim_end()),
            "{row}"
        );
    }
    assert!(first("flux list -o wide").contains(&id));
}

#[test]
fn a_closed_pipe_is_no_error() {
    let folder = Folder::seeded();
    for line in [
        "flux list",
        "flux events manypages --io",
        "flux show manypages",
        "flux events manypages -o jsonl",
    ] {
        let mut child = folder.call(line).spawn();
        let mut first = String::new();
        let mut stdout = BufReader::with_capacity(64, child.stdout.take().unwrap());
        stdout.read_line(&mut first).unwrap();
        drop(stdout);
        let output = child.wait_with_output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(
            (output.status.code(), said.as_str()),
            (Some(0), ""),
            "{line}"
        );
        assert!(!first.is_empty());
    }
}

#[test]
fn tables_can_be_without_names() {
    golden!(Folder::seeded().transcript(&[
        "flux list -n 2 --no-headers -q",
        "flux list --workflow nobody --no-headers -q",
        "flux queue list --no-headers",
        "flux workflow list --no-headers",
        "flux show shipped --no-headers",
    ]));
}

#[test]
fn colours_are_for_terminals_or_for_who_asks() {
    let folder = Folder::seeded();
    let coloured = |line: &str| folder.run(line).stdout.contains('\x1b');
    for line in [
        "list",
        "show uncharged",
        "status shipped",
        "events shipped",
        "db check",
    ] {
        assert!(!coloured(&format!("flux {line}")), "{line}");
        assert!(!coloured(&format!("flux {line} --color never")), "{line}");
        assert!(coloured(&format!("flux {line} --color always")), "{line}");
    }
    let error = folder.run("flux show nobody --color always").exits(3);
    assert!(error.stderr.contains('\x1b'), "{}", error.stderr);
    for line in ["list --json", "list -o id", "result shipped"] {
        assert!(!coloured(&format!("flux {line} --color always")), "{line}");
    }
    let asked = folder
        .call("flux list --color always")
        .env("NO_COLOR", "1")
        .run();
    assert!(
        asked.stdout.contains('\x1b'),
        "an option is more than a variable"
    );
}

#[test]
fn moments_are_told_as_asked() {
    golden!(Folder::seeded().transcript(&[
        "flux list -n 3 -q --time iso",
        "flux list -n 3 -q --time local",
        "flux show unpaid --time iso",
        "flux show unpaid --time local",
        "flux list --time sundial",
    ]));
    let folder = Folder::seeded();
    let local = folder
        .call("flux list -n 1 -q --time local")
        .env("TZ", "Europe/Berlin");
    let listed = local.run().exits(0);
    assert!(
        listed.stdout.contains("2024-03-04 10:30:00 +01:00"),
        "{}",
        listed.stdout
    );
}

#[test]
fn global_options_stand_anywhere() {
    let folder = Folder::seeded();
    let plain = folder.run("flux list -o jsonl").exits(0).stdout;
    for line in [
        "flux -o jsonl list",
        "flux --output=jsonl list",
        "flux --db flux.db -ojsonl list",
    ] {
        assert_eq!(folder.run(line).exits(0).stdout, plain, "{line}");
    }
}
