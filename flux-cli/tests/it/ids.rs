//! Ids as people type them.

use crate::support::{Folder, PREFIX, golden, id};

/// With two more, of which `mix` begins one and ends the other.
fn folder() -> Folder {
    let folder = Folder::seeded();
    for id in ["mix-of-tea", "trail-mix", "mixed"] {
        folder
            .run(&format!("flux start count_stock --id {id} -q"))
            .exits(0);
    }
    folder
}

fn finds(folder: &Folder, piece: &str, whole: &str) {
    let found = folder.run(&format!("flux show {piece} -o id")).exits(0);
    assert_eq!(found.stdout, format!("{whole}\n"));
}

#[test]
fn any_unique_beginning_or_end_will_do() {
    let folder = folder();
    let shipped = id("shipped");
    for piece in [
        shipped.as_str(),
        "00000shipped",
        "shipped",
        "ped",
        &shipped.as_str()[..32],
    ] {
        finds(&folder, piece, shipped.as_str());
    }
    finds(&folder, "mix-", "mix-of-tea");
    finds(&folder, "l-mix", "trail-mix");
    finds(&folder, "mixed", "mixed");
    finds(&folder, "trail", "trail-mix");
}

#[test]
fn a_whole_id_is_never_ambiguous() {
    let folder = folder();
    let parent = id("withchildren");
    finds(&folder, parent.as_str(), parent.as_str());
    let child = format!("{parent}.2");
    finds(&folder, &child, &child);
}

#[test]
fn what_fits_several_is_told_them() {
    let folder = folder();
    golden!(folder.transcript(&[
        "flux show mix",
        "flux result withchildren",
        &format!("flux show {PREFIX}"),
        "flux cancel shipped mix",
    ]));
}

#[test]
fn what_fits_none_is_not_found() {
    let folder = folder();
    for line in [
        "show nobody",
        "events nobody",
        "result nobody",
        "signal nobody paid",
        "resume nobody",
        "retry nobody",
        "pause nobody",
        "cancel nobody",
        "terminate nobody --reason none",
        "list --before nobody",
        "list --parent nobody",
        "status nobody",
    ] {
        let ran = folder.run(&format!("flux {line}")).exits(3);
        assert_eq!(ran.stdout, "");
        assert!(ran.stderr.contains("`nobody`"), "{}", ran.stderr);
    }
    // A wildcard of SQL is a character.
    folder.run("flux show %").exits(3);
    folder.run("flux show shippe_").exits(3);
    folder
        .run("flux show ''")
        .code
        .filter(|code| *code != 0)
        .unwrap();
}

#[test]
fn case_is_told_apart() {
    folder().run("flux show SHIPPED").exits(3);
}
