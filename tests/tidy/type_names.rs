//! One name, one thing: who searches a crate for the name of a type finds one type.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// Where each type of a crate is declared, by its name.
type Declared = BTreeMap<String, Vec<String>>;

/// The folders of the workspace that hold the source of a crate.
fn sources() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let members = fs::read_dir(root)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let is_member = |folder: &PathBuf| folder.join("Cargo.toml").exists();
    let mut sources: Vec<_> = members
        .chain([root.to_owned()])
        .filter(is_member)
        .map(|folder| folder.join("src"))
        .filter(|source| source.exists())
        .collect();
    sources.sort();
    sources
}

fn read(folder: &Path, declared: &mut Declared) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            read(&path, declared);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = fs::read_to_string(&path).unwrap();
            for (number, line) in (1..).zip(text.lines()) {
                if let Some(name) = declares(line) {
                    let place = format!("{}:{number}", path.display());
                    declared.entry(name.to_owned()).or_default().push(place);
                }
            }
        }
    }
}

/// The name of the type that a line declares. An indented `type` is that of a trait, or local to a function.
fn declares(line: &str) -> Option<&str> {
    let declaration = line.trim_start();
    let is_indented = declaration.len() < line.len();
    let declaration = match declaration.strip_prefix("pub") {
        Some(public) if public.starts_with('(') => public.split_once(')')?.1,
        Some(public) => public,
        None => declaration,
    };
    let (keyword, rest) = declaration.trim_start().split_once(' ')?;
    let is_type = match keyword {
        "struct" | "enum" | "union" | "trait" => true,
        "type" => !is_indented,
        _ => false,
    };
    let end = rest.find(|c: char| !c.is_alphanumeric() && c != '_');
    let name = &rest[..end.unwrap_or(rest.len())];
    (is_type && !name.is_empty()).then_some(name)
}

#[test]
fn no_type_name_stands_twice_in_a_crate() {
    let sources = sources();
    assert!(sources.len() > 5, "the crates are elsewhere: {sources:?}");
    for source in sources {
        let mut declared = Declared::new();
        read(&source, &mut declared);
        declared.retain(|_, places| places.len() > 1);
        assert!(
            declared.is_empty(),
            "one name, several types; name each after its room: {declared:#?}"
        );
    }
}

#[test]
fn declarations_are_found() {
    for (line, name) in [
        ("pub struct Run<O>(Launch<O>);", Some("Run")),
        ("pub(crate) enum End {", Some("End")),
        ("    struct Local;", Some("Local")),
        ("pub(super) type Alike = (u8, u8);", Some("Alike")),
        ("    type Output = ();", None),
        ("/// struct Told", None),
        ("let type_name = 1;", None),
    ] {
        assert_eq!(declares(line), name, "{line}");
    }
}
