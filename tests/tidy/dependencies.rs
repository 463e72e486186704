//! What the workspace depends on, by the rules of `deny.toml`: licences, sources, and one version of each crate.
//!
//! `cargo deny check licenses bans sources` checks the same and more. Building it takes minutes, so CI has this instead.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use serde::Deserialize;

#[derive(Deserialize)]
struct Rules {
    licenses: Licenses,
    bans: Bans,
    sources: Sources,
}

#[derive(Deserialize)]
struct Licenses {
    allow: BTreeSet<String>,
}

#[derive(Deserialize)]
struct Bans {
    skip: Vec<Skip>,
}

/// A version that may stand beside another one of the same crate.
#[derive(Deserialize)]
struct Skip {
    #[serde(rename = "crate")]
    package: String,
    reason: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Sources {
    allow_registry: BTreeSet<String>,
}

#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Package>,
}

#[derive(Deserialize)]
struct Package {
    name: String,
    version: String,
    license: Option<String>,
    /// `None`: it is of this workspace.
    source: Option<String>,
    dependencies: Vec<Dependency>,
}

#[derive(Deserialize)]
struct Dependency {
    name: String,
    req: String,
    path: Option<String>,
}

impl Package {
    fn id(&self) -> String {
        format!("{}@{}", self.name, self.version)
    }
}

fn rules() -> Rules {
    toml::from_str(include_str!("../../deny.toml")).unwrap()
}

/// All packages that are locked, for every platform.
fn packages() -> Vec<Package> {
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args([
        "metadata",
        "--format-version=1",
        "--locked",
        "--all-features",
    ]);
    let output = cargo
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    let metadata: Metadata = serde_json::from_slice(&output.stdout).unwrap();
    metadata.packages
}

/// Whether an SPDX expression is fulfilled by the allowed licences alone. The old `MIT/Apache-2.0` means `OR`.
fn is_allowed(expression: &str, allow: &BTreeSet<String>) -> bool {
    let spaced = expression
        .replace('(', " ( ")
        .replace(')', " ) ")
        .replace('/', " OR ");
    let words: Vec<&str> = spaced.split_whitespace().collect();
    let mut rest = words.as_slice();
    let is_allowed = any(&mut rest, allow);
    is_allowed && rest.is_empty()
}

fn any<'a>(rest: &mut &'a [&'a str], allow: &BTreeSet<String>) -> bool {
    let mut is_allowed = all(rest, allow);
    while let Some(("OR", after)) = split(rest) {
        *rest = after;
        is_allowed |= all(rest, allow);
    }
    is_allowed
}

fn all<'a>(rest: &mut &'a [&'a str], allow: &BTreeSet<String>) -> bool {
    let mut is_allowed = one(rest, allow);
    while let Some(("AND", after)) = split(rest) {
        *rest = after;
        is_allowed &= one(rest, allow);
    }
    is_allowed
}

/// A licence, one with an exception, which is allowed by its whole name alone, or an expression in parentheses.
fn one<'a>(rest: &mut &'a [&'a str], allow: &BTreeSet<String>) -> bool {
    let Some((word, after)) = split(rest) else {
        return false;
    };
    *rest = after;
    if word == "(" {
        let is_allowed = any(rest, allow);
        let is_closed = matches!(split(rest), Some((")", _)));
        *rest = rest.get(1..).unwrap_or_default();
        return is_allowed && is_closed;
    }
    if let ["WITH", exception, after @ ..] = rest {
        let whole = format!("{word} WITH {exception}");
        *rest = after;
        return allow.contains(&whole);
    }
    allow.contains(word)
}

fn split<'a>(words: &'a [&'a str]) -> Option<(&'a str, &'a [&'a str])> {
    words.split_first().map(|(first, rest)| (*first, rest))
}

#[test]
fn every_license_is_allowed() {
    let allow = rules().licenses.allow;
    let refused: Vec<_> = packages()
        .iter()
        .filter(|package| {
            !package
                .license
                .as_deref()
                .is_some_and(|text| is_allowed(text, &allow))
        })
        .map(|package| format!("{}: {:?}", package.id(), package.license))
        .collect();
    assert!(
        refused.is_empty(),
        "not in `licenses.allow` of deny.toml: {refused:#?}"
    );
}

#[test]
fn every_source_is_allowed() {
    let allow = rules().sources.allow_registry;
    let is_known = |source: &str| {
        source
            .strip_prefix("registry+")
            .is_some_and(|url| allow.contains(url))
    };
    let refused: Vec<_> = packages()
        .iter()
        .filter(|package| {
            package
                .source
                .as_deref()
                .is_some_and(|source| !is_known(source))
        })
        .map(|package| format!("{}: {:?}", package.id(), package.source))
        .collect();
    assert!(
        refused.is_empty(),
        "not in `sources` of deny.toml: {refused:#?}"
    );
}

#[test]
fn there_is_one_version_of_each_crate_or_a_reason() {
    let skip = rules().bans.skip;
    let mut versions = BTreeMap::<String, BTreeSet<String>>::new();
    for package in packages() {
        versions
            .entry(package.name)
            .or_default()
            .insert(package.version);
    }
    for skipped in &skip {
        assert!(
            !skipped.reason.is_empty(),
            "{} is skipped without a reason",
            skipped.package
        );
        let (name, version) = skipped.package.split_once('@').unwrap();
        let others = versions
            .get_mut(name)
            .map(|versions| (versions.remove(version), versions.len()));
        assert!(
            others.is_some_and(|(was_there, others)| was_there && others > 0),
            "`{}` is the only version by now: take it out of `bans.skip` in deny.toml",
            skipped.package
        );
    }
    versions.retain(|_, versions| versions.len() > 1);
    assert!(
        versions.is_empty(),
        "more than one version, and not in `bans.skip` of deny.toml: {versions:#?}"
    );
}

#[test]
fn every_dependency_has_a_version() {
    for package in packages().iter().filter(|package| package.source.is_none()) {
        for dependency in &package.dependencies {
            let is_wild = dependency.req == "*" && dependency.path.is_none();
            assert!(
                !is_wild,
                "`{}` takes any version of `{}`",
                package.name, dependency.name
            );
        }
    }
}

#[test]
fn license_expressions_are_read_as_they_are_meant() {
    let allow: BTreeSet<String> = ["MIT", "Zlib"].map(str::to_owned).into();
    for fits in [
        "MIT",
        "GPL-3.0/MIT",
        "GPL-3.0 OR MIT",
        "(GPL-3.0 OR MIT) AND Zlib",
        "MIT OR GPL-3.0 AND X",
    ] {
        assert!(is_allowed(fits, &allow), "{fits}");
    }
    for refused in [
        "GPL-3.0",
        "",
        "MIT AND GPL-3.0",
        "MIT WITH exception",
        "(MIT OR Zlib) AND X",
        "(MIT",
        "MIT MIT",
    ] {
        assert!(!is_allowed(refused, &allow), "{refused}");
    }
}
