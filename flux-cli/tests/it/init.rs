//! `init`: the files it writes. That they compile and run is seen elsewhere.

use crate::support::{Folder, golden};

#[test]
fn a_project_is_written() {
    let folder = Folder::empty();
    let made = folder
        .run("flux init tea-shop --tasks reserve,charge")
        .exits(0);
    let mut text = made.transcript();
    for file in ["Cargo.toml", ".gitignore", "src/main.rs"] {
        let written = std::fs::read_to_string(folder.path("tea-shop").join(file)).unwrap();
        text.push_str(&format!("\n==> {file}\n{written}"));
    }
    // The sources it was built from are somewhere else everywhere.
    let sources = std::path::Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .unwrap();
    golden!(text.replace(sources.to_str().unwrap(), "/flux"));
}

#[test]
fn what_cannot_be_made_is_refused() {
    let folder = Folder::empty();
    golden!(folder.transcript(&[
        "flux init shop --tasks reserve --json",
        "flux init shop --tasks reserve",
        "flux init Shop --tasks reserve",
        "flux init other --tasks fn",
        "flux init other --tasks a,a",
        "flux init other",
    ]));
    assert_eq!(folder.names(), ["shop"]);
}
