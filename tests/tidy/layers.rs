//! The arrows inside flux-core: which module may speak of which.
//!
//! The sources are read as tokens, so comments and texts do not count. What is compiled for tests alone does not either.

use std::fs;
use std::iter::Peekable;
use std::path::{Path, PathBuf};

use proc_macro2::token_stream::IntoIter;
use proc_macro2::{Delimiter, TokenStream, TokenTree};

/// What the modules `of` a layer may not name.
struct Rule {
    of: &'static [&'static str],
    never: &'static [&'static str],
    /// What they may name all the same, as paths below `never`.
    but: &'static [&'static str],
    why: &'static str,
}

const RULES: &[Rule] = &[
    Rule {
        of: &[
            "clock",
            "digest",
            "error",
            "event",
            "hash",
            "id",
            "names",
            "order",
            "payload",
            "policy",
            "retry",
            "schedule",
            "sites",
            "status",
            "store",
            "time",
            "type_name",
        ],
        never: &["context", "engine", "private", "replay", "task"],
        but: &[],
        why: "records, errors and the store contract are what every backend and every reader of a history needs, and they \
              need no running code for it",
    },
    Rule {
        of: &["task"],
        never: &["context", "replay"],
        but: &[],
        why: "a task is data that the macros write down; what calls it depends on it",
    },
    Rule {
        of: &["context"],
        never: &["replay"],
        but: &[],
        why: "the replay drives the code that holds a context; if the context knew the replay, neither could be read alone",
    },
    Rule {
        of: &["replay"],
        never: &["context"],
        but: &[
            "context::RawContext",
            "context::current",
            "context::end",
            "context::lifecycle",
            "context::request",
            "context::shared",
        ],
        why: "the replay needs the state it shares with the code and the code's life to poll, and no durable operation",
    },
    Rule {
        of: &["context", "replay", "task", "workflow"],
        never: &["engine", "private"],
        but: &[],
        why: "the engine is the async shell around all of this, and `private` is what expansions of the macros call: both \
              stand at the top",
    },
];

fn source() -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    root.join("flux-core/src")
}

/// The files of a folder and below. A file of unit tests is named `tests.rs`.
fn files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs")
            && !path.ends_with("tests.rs")
        {
            found.push(path);
        }
    }
}

/// The module of a file, from the root of the crate: `context::child`, or `context` for its `mod.rs`.
fn module_of(file: &Path) -> Vec<String> {
    let names = file.with_extension("");
    let names = names.iter().map(|name| name.to_str().unwrap().to_owned());
    names
        .filter(|name| name != "mod" && name != "lib")
        .collect()
}

/// The paths that a file names, as seen from the root of the crate.
fn named(text: &str, module: &[String]) -> Vec<String> {
    let mut found = Vec::new();
    let tokens: TokenStream = text.parse().unwrap();
    walk(tokens, module, &mut found);
    found
}

fn walk(tokens: TokenStream, module: &[String], found: &mut Vec<String>) {
    let mut tokens = tokens.into_iter().peekable();
    let mut inner = None;
    while let Some(token) = tokens.next() {
        match token {
            TokenTree::Punct(punct) if punct.as_char() == '#' => {
                if let Some(TokenTree::Group(attribute)) = tokens.peek()
                    && attribute.stream().to_string().replace(' ', "") == "cfg(test)"
                {
                    skip_item(&mut tokens);
                }
            }
            TokenTree::Ident(word)
                if (word == "crate" || word == "super") && is_path(&mut tokens) =>
            {
                let above = module.len().saturating_sub(1);
                let start = if word == "crate" { 0 } else { above };
                follow(&mut tokens, module[..start].to_vec(), found);
            }
            TokenTree::Ident(word) if word == "mod" => {
                inner = tokens.next().map(|name| name.to_string());
            }
            TokenTree::Group(group) => {
                let module = [module, inner.take().as_slice()].concat();
                walk(group.stream(), &module, found);
            }
            TokenTree::Ident(_) | TokenTree::Punct(_) | TokenTree::Literal(_) => inner = None,
        }
    }
}

fn is_path(tokens: &mut Peekable<IntoIter>) -> bool {
    matches!(tokens.peek(), Some(TokenTree::Punct(punct)) if punct.as_char() == ':')
}

/// Skips the rest of an item: up to its block, or to the end of its statement.
fn skip_item(tokens: &mut Peekable<IntoIter>) {
    for token in tokens {
        let is_end = match &token {
            TokenTree::Group(group) => group.delimiter() == Delimiter::Brace,
            TokenTree::Punct(punct) => punct.as_char() == ';',
            _ => false,
        };
        if is_end {
            return;
        }
    }
}

/// Follows a path from its first word to its last, or to each in braces.
fn follow(tokens: &mut Peekable<IntoIter>, mut path: Vec<String>, found: &mut Vec<String>) {
    while is_path(tokens) {
        tokens.next();
        tokens.next();
        match tokens.peek() {
            Some(TokenTree::Ident(word)) if word == "super" => {
                path.pop();
                tokens.next();
            }
            Some(TokenTree::Ident(word)) => {
                path.push(word.to_string());
                tokens.next();
            }
            Some(TokenTree::Group(group)) if group.delimiter() == Delimiter::Brace => {
                let mut inner = group.stream().into_iter().peekable();
                while let Some(token) = inner.next() {
                    if let TokenTree::Ident(word) = token {
                        let mut path = path.clone();
                        if word != "self" {
                            path.push(word.to_string());
                        }
                        follow(&mut inner, path, found);
                        skip_to_comma(&mut inner);
                    }
                }
                tokens.next();
                return;
            }
            _ => break,
        }
    }
    found.push(path.join("::"));
}

/// Skips the other name of `a as b`.
fn skip_to_comma(tokens: &mut Peekable<IntoIter>) {
    for token in tokens {
        if matches!(&token, TokenTree::Punct(punct) if punct.as_char() == ',') {
            return;
        }
    }
}

fn is_below(path: &str, module: &str) -> bool {
    let rest = path.strip_prefix(module);
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
}

/// What breaks a rule in a file of this module.
fn broken(text: &str, module: &[String]) -> Vec<String> {
    let top = module.first().map(String::as_str);
    let rules = RULES
        .iter()
        .filter(|rule| top.is_some_and(|top| rule.of.contains(&top)));
    let rules: Vec<&Rule> = rules.collect();
    let mut broken = Vec::new();
    for path in named(text, module) {
        if !rules.is_empty() && path.starts_with(char::is_uppercase) {
            broken.push(format!(
                "`crate::{path}`; name it by its module, so that it shows where it comes from"
            ));
        }
        let is_of = |modules: &[&str]| modules.iter().any(|module| is_below(&path, module));
        let is_broken = |rule: &&&Rule| is_of(rule.never) && !is_of(rule.but);
        let reasons = rules.iter().filter(is_broken).map(|rule| rule.why);
        broken.extend(reasons.map(|why| format!("`crate::{path}`; {why}")));
    }
    broken
}

#[test]
fn no_module_of_the_core_names_one_above_it() {
    let source = source();
    let mut all = Vec::new();
    files(&source, &mut all);
    let mut found = Vec::new();
    for file in &all {
        let text = fs::read_to_string(file).unwrap();
        let file = file.strip_prefix(&source).unwrap();
        let broken = broken(&text, &module_of(file));
        let place = file.display();
        found.extend(
            broken
                .into_iter()
                .map(|what| format!("flux-core/src/{place} names {what}")),
        );
    }
    assert!(
        found.is_empty(),
        "what is named from above belongs lower, in a module of its own if need be: {found:#?}"
    );
}

#[test]
fn every_module_of_a_rule_exists() {
    let source = source();
    let rules = RULES.iter();
    for path in rules.flat_map(|rule| [rule.of, rule.never].concat()) {
        let file = source.join(path).with_extension("rs");
        assert!(
            file.exists() || source.join(path).join("mod.rs").exists(),
            "the rules speak of `{path}`, which flux-core no longer has"
        );
    }
}

#[test]
fn paths_are_found() {
    let module = ["context".to_owned(), "child".to_owned()];
    for (text, paths) in [
        ("use crate::task::TaskDef;", vec!["task::TaskDef"]),
        (
            "use crate::{a::{self, B as C}, d::E};",
            vec!["a", "a::B", "d::E"],
        ),
        ("use super::shared::Call;", vec!["context::shared::Call"]),
        ("use super::super::replay;", vec!["replay"]),
        (
            "fn f() -> crate::engine::Engine { crate::a::b() }",
            vec!["engine::Engine", "a::b"],
        ),
        (
            "mod inner { use super::current; }",
            vec!["context::child::current"],
        ),
        ("/// [x](crate::engine)\nfn f() {} // crate::engine", vec![]),
        (
            "#[cfg(test)] mod tests { use crate::engine::Engine; }",
            vec![],
        ),
        (
            "#[cfg(test)] use crate::engine::Engine; use crate::a;",
            vec!["a"],
        ),
        ("#[cfg(unix)] use crate::a;", vec!["a"]),
        (
            "pub(crate) struct S { kind: crate::a::B, pub(super) c: C }",
            vec!["a::B"],
        ),
    ] {
        assert_eq!(named(text, &module), paths, "{text}");
    }
}

#[test]
fn each_rule_can_be_broken() {
    for rule in RULES {
        for (of, never) in rule
            .of
            .iter()
            .flat_map(|of| rule.never.iter().map(move |never| (of, never)))
        {
            let text = format!("fn f() {{ crate::{never}::something(); }}");
            let broken = broken(&text, &[(*of).to_owned()]);
            assert!(
                broken.iter().any(|what| what.contains(rule.why)),
                "{of}, {never}"
            );
        }
    }
}
