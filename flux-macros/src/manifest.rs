//! What the package that is compiled calls the facade, by its `Cargo.toml`.

use std::fs;
use std::path::{Path, PathBuf};

const FACADE: &str = "flux";

/// What a package calls the facade.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Called {
    /// `flux`; also where the manifest does not tell.
    ByItsName,
    /// Another name, with `package = "flux"`.
    Otherwise(String),
    /// Nothing: it is not among the dependencies.
    Missing,
}

/// Reads it from the manifest that Cargo names; other build systems name none.
pub(crate) fn called() -> Called {
    let folder = std::env::var_os("CARGO_MANIFEST_DIR").map(PathBuf::from);
    let Some(path) = folder.map(|folder| folder.join("Cargo.toml")) else {
        return Called::ByItsName;
    };
    // The manifest of a script is in the script.
    let named = std::env::var_os("CARGO_MANIFEST_PATH").map(PathBuf::from);
    if named.is_some_and(|named| named != path) {
        return Called::ByItsName;
    }
    let Ok(manifest) = fs::read_to_string(&path) else {
        return Called::ByItsName;
    };
    let workspace = || workspace_above(&path).unwrap_or_default();
    called_in(&manifest, workspace)
}

/// The manifest of the workspace that the package is a member of.
fn workspace_above(manifest: &Path) -> Option<String> {
    let folders = manifest.parent()?.ancestors();
    folders
        .filter_map(|folder| fs::read_to_string(folder.join("Cargo.toml")).ok())
        .find(|text| {
            text.lines()
                .any(|line| line.trim().starts_with("[workspace"))
        })
}

fn called_in(manifest: &str, workspace: impl FnOnce() -> String) -> Called {
    let own = dependencies(manifest);
    if own.iter().any(|dependency| dependency.name == FACADE) || is_the_facade(manifest) {
        return Called::ByItsName;
    }
    if let Some(found) = own.iter().find(|dependency| dependency.is_facade) {
        return Called::Otherwise(found.name.replace('-', "_"));
    }
    let inherited = own.iter().filter(|dependency| dependency.is_inherited);
    let inherited: Vec<&str> = inherited.map(|dependency| &*dependency.name).collect();
    if !inherited.is_empty() {
        let shared = dependencies(&workspace());
        let found = shared
            .iter()
            .find(|shared| shared.is_facade && inherited.contains(&&*shared.name));
        if let Some(found) = found {
            return Called::Otherwise(found.name.replace('-', "_"));
        }
    }
    if manifest.contains(FACADE) {
        Called::ByItsName
    } else {
        Called::Missing
    }
}

fn is_the_facade(manifest: &str) -> bool {
    tables(manifest).any(|(table, line)| {
        let (key, value) = line.split_once('=').unwrap_or_default();
        table == "package" && key.trim() == "name" && is_quoted(value, FACADE)
    })
}

/// One that a manifest names, perhaps in several lines.
#[derive(Debug)]
struct Dependency {
    name: String,
    /// Whether it is the facade, by another name.
    is_facade: bool,
    /// Whether its workspace says what it is.
    is_inherited: bool,
}

/// Reads as much of TOML as manifests are written in.
fn dependencies(manifest: &str) -> Vec<Dependency> {
    let lines = tables(manifest).filter_map(|(table, line)| {
        let (key, value) = line.split_once('=')?;
        let in_table = format!("{table}.{key}");
        let (_, path) = in_table.rsplit_once("dependencies.")?;
        let (name, field) = path.split_once('.').unwrap_or((path, ""));
        let is = |wanted: &str| field.trim() == wanted;
        Some(Dependency {
            name: name.trim().trim_matches('"').to_owned(),
            is_facade: (is("package") && is_quoted(value, FACADE)) || has(value, "package", FACADE),
            is_inherited: is("workspace") || value.contains("workspace"),
        })
    });
    lines.collect()
}

/// Each line with the table that it stands in.
fn tables(manifest: &str) -> impl Iterator<Item = (&str, &str)> {
    let mut table = "";
    manifest.lines().filter_map(move |line| {
        let line = line.trim();
        if let Some(header) = line.strip_prefix('[') {
            let (header, _) = header.split_once(']')?;
            table = header.trim();
            return Some((table, ""));
        }
        (!line.starts_with('#')).then_some((table, line))
    })
}

/// Whether an inline table has `key = "wanted"`.
fn has(value: &str, key: &str, wanted: &str) -> bool {
    let fields = value.split(['{', ',', '}']);
    fields
        .filter_map(|field| field.split_once('='))
        .any(|(found, value)| found.trim() == key && is_quoted(value, wanted))
}

fn is_quoted(value: &str, wanted: &str) -> bool {
    let value = value.split('#').next().unwrap_or_default().trim();
    let inside = value
        .strip_prefix(['"', '\''])
        .and_then(|value| value.strip_suffix(['"', '\'']));
    inside == Some(wanted)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(manifest: &str, workspace: &str, expected: &Called) {
        let called = called_in(manifest, || workspace.to_owned());
        assert_eq!(called, *expected, "{manifest}");
    }

    #[test]
    fn a_renamed_dependency_is_found_however_it_is_written() {
        for manifest in [
            "[dependencies]\nmy-flux = { package = \"flux\", version = \"0.1\" }",
            "[dependencies]\nmy-flux = { path = \"../flux\", package = 'flux' } # ours",
            "[dependencies]\nmy-flux.package = \"flux\"\nmy-flux.version = \"0.1\"",
            "[dependencies.my-flux]\nversion = \"0.1\"\npackage = \"flux\" # ours",
            "[dev-dependencies]\nserde = \"1\"\n\"my-flux\" = {package=\"flux\"}",
            "[target.'cfg(unix)'.dependencies]\nmy-flux = { package = \"flux\" }",
            "[ dependencies ]\nmy-flux = { package = \"flux\" }",
        ] {
            check(manifest, "", &Called::Otherwise("my_flux".to_owned()));
        }
        let workspace = "[workspace.dependencies]\nother = \"1\"\nmy-flux = { package = \"flux\", path = \"flux\" }";
        for manifest in [
            "[dependencies]\nmy-flux = { workspace = true }",
            "[dependencies]\nmy-flux.workspace = true",
            "[dependencies.my-flux]\nworkspace = true",
        ] {
            check(
                manifest,
                workspace,
                &Called::Otherwise("my_flux".to_owned()),
            );
        }
    }

    #[test]
    fn the_usual_name_goes_first() {
        for manifest in [
            "[dependencies]\nflux = \"0.1\"",
            "[dependencies]\nflux = { workspace = true }\nmine = { package = \"flux\" }",
            "[dev-dependencies.flux]\npath = \"..\"",
            "[package]\nname = \"flux\"",
            "[dependencies]\nflux-rs = \"1\"", // a fork may call its library as it likes
        ] {
            check(manifest, "", &Called::ByItsName);
        }
    }

    #[test]
    fn a_package_without_it_is_told() {
        let manifest =
            "[package]\nname = \"shop\"\n[dependencies]\nserde = { workspace = true }\n# nothing";
        check(
            manifest,
            "[workspace.dependencies]\nserde = \"1\"\nmine = { package = \"flux\" }",
            &Called::Missing,
        );
    }
}
