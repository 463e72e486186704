//! `workflow`.

use crate::support::{Folder, golden};

#[test]
fn without_code_it_knows_what_the_store_knows() {
    golden!(Folder::seeded().transcript(&[
        "flux workflow list",
        "flux workflow list -o wide",
        "flux workflow ls -o id",
        "flux workflow show place_order",
        "flux workflow show send_parcel",
        "flux workflow show place_oder",
    ]));
}

#[test]
fn a_program_knows_its_own_also_without_a_store() {
    let folder = Folder::empty();
    golden!(folder.transcript(&[
        "shop workflow list",
        "shop workflow list -o wide",
        "shop workflow show count_stock",
        "flux workflow list",
    ]));
    assert!(folder.names().is_empty(), "looking creates nothing");
}

#[test]
fn both_are_told_together() {
    golden!(Folder::seeded().transcript(&["shop workflow list", "shop workflow show place_order"]));
}

#[test]
fn they_are_json() {
    golden!(Folder::seeded().transcript(&[
        "flux workflow show send_parcel --json",
        "shop workflow show count_stock --json",
        "flux workflow list -o jsonl",
    ]));
}
