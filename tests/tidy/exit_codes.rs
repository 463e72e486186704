//! Every error of the library has an exit code of the command line that somebody chose.
//!
//! `Error` may grow, so another crate's `match` on it ends with an arm for the rest, and the compiler finds nothing missing.

const ERRORS: &str = include_str!("../../flux-core/src/error/mod.rs");
const EXIT_CODES: &str = include_str!("../../flux-cli/src/exit.rs");

/// The names of the variants of `Error`.
fn variants() -> Vec<&'static str> {
    let (_, declared) = ERRORS.split_once("pub enum Error {").unwrap();
    let (declared, _) = declared.split_once("\n}").unwrap();
    let variants = declared.lines().filter_map(|line| {
        let line = line.strip_prefix("    ")?;
        let end = line.find(|c: char| !c.is_alphanumeric());
        let name = &line[..end.unwrap_or(line.len())];
        name.starts_with(char::is_uppercase).then_some(name)
    });
    variants.collect()
}

#[test]
fn every_error_has_an_exit_code() {
    let variants = variants();
    assert!(variants.contains(&"ExecutionNotFound") && variants.contains(&"Store"));
    let (_, codes) = EXIT_CODES.split_once("fn exit_of").unwrap();
    let forgotten: Vec<_> = variants
        .into_iter()
        .filter(|name| {
            let has_arm = |after| codes.contains(&format!("Error::{name}{after}"));
            !has_arm(" {") && !has_arm("(")
        })
        .collect();
    assert!(
        forgotten.is_empty(),
        "`exit_of` in flux-cli/src/exit.rs has no arm for {forgotten:?}"
    );
}
