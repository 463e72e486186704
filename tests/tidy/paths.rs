//! The sources of the core as tokens: which paths each module names, and which it exports again.
//!
//! Comments and texts do not count, and neither does what is compiled for tests alone. Methods that are called on a value are
//! not seen: only what is named.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::iter::Peekable;
use std::path::{Path, PathBuf};

use proc_macro2::token_stream::IntoIter;
use proc_macro2::{Delimiter, TokenStream, TokenTree};

/// A path from the root of the crate, or a module.
pub(crate) type Words = Vec<String>;

/// The modules of a crate.
pub(crate) struct Modules(pub(crate) BTreeMap<Words, Module>);

/// One file.
#[derive(Default)]
pub(crate) struct Module {
    /// What it names.
    pub(crate) named: Vec<Words>,
    /// What it exports again: the name, and what that is.
    pub(crate) exports: BTreeMap<String, Words>,
}

impl Modules {
    pub(crate) fn of_the_core() -> Self {
        Self::of(texts_of_the_core())
    }

    pub(crate) fn of(texts: BTreeMap<Words, String>) -> Self {
        let names: BTreeSet<Words> = texts.keys().cloned().collect();
        let read = |(module, text): (Words, String)| {
            let read = read(&text, &module, &names);
            (module, read)
        };
        Self(texts.into_iter().map(read).collect())
    }

    /// The module that declares what a path names, however often it was exported again.
    pub(crate) fn declaring(&self, path: &[String]) -> Option<Words> {
        let module = (0..=path.len()).rev().map(|length| &path[..length]);
        let module = module.into_iter().find(|path| self.0.contains_key(*path))?;
        let exported = path.get(module.len());
        match exported.and_then(|name| self.0[module].exports.get(name)) {
            Some(exported) => {
                let rest = &path[module.len() + 1..];
                self.declaring(&[exported.as_slice(), rest].concat())
            }
            None => Some(module.to_vec()),
        }
    }
}

/// The files of the core by their modules.
pub(crate) fn texts_of_the_core() -> BTreeMap<Words, String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let source = root.join("flux-core/src");
    let mut all = Vec::new();
    files(&source, &mut all);
    let texts = all.iter().map(|file| {
        let module = module_of(file.strip_prefix(&source).unwrap());
        (module, fs::read_to_string(file).unwrap())
    });
    texts.collect()
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
fn module_of(file: &Path) -> Words {
    let names = file.with_extension("");
    let names = names.iter().map(|name| name.to_str().unwrap().to_owned());
    names
        .filter(|name| name != "mod" && name != "lib")
        .collect()
}

/// The words of a path.
pub(crate) fn words(path: &str) -> Words {
    path.split("::").map(str::to_owned).collect()
}

/// Reads a file of this module, in a crate that has all `modules`.
pub(crate) fn read(text: &str, module: &[String], modules: &BTreeSet<Words>) -> Module {
    let mut found = Module::default();
    let reader = Reader { modules };
    reader.walk(text.parse().unwrap(), module, &mut found);
    found
}

struct Reader<'a> {
    modules: &'a BTreeSet<Words>,
}

impl Reader<'_> {
    fn walk(&self, tokens: TokenStream, module: &[String], found: &mut Module) {
        let mut tokens = tokens.into_iter().peekable();
        let mut inner = None;
        let mut is_public = false;
        // How many stand before the next word: two join it to a path.
        let mut colons = 0;
        while let Some(token) = tokens.next() {
            let before = std::mem::take(&mut colons);
            match token {
                TokenTree::Punct(punct) if punct.as_char() == '#' => {
                    if let Some(TokenTree::Group(attribute)) = tokens.peek()
                        && attribute.stream().to_string().replace(' ', "") == "cfg(test)"
                    {
                        skip_item(&mut tokens);
                    }
                }
                TokenTree::Punct(punct) => {
                    colons = if punct.as_char() == ':' {
                        before + 1
                    } else {
                        0
                    };
                }
                TokenTree::Ident(word) if word == "pub" => {
                    is_public = true;
                    continue;
                }
                TokenTree::Ident(word) if word == "use" => {
                    let mut all = Vec::new();
                    use_tree(&mut tokens, Words::new(), &mut all);
                    let all = all.into_iter().filter_map(|(path, name)| {
                        let path = self.absolute(&path, module)?;
                        Some((path, name))
                    });
                    for (path, name) in all {
                        if is_public {
                            found.exports.insert(name, path.clone());
                        }
                        // Of a module's own parts an export is its table of contents.
                        if !(is_public && path.starts_with(module)) {
                            found.named.push(path);
                        }
                    }
                }
                TokenTree::Ident(word) if word == "mod" => {
                    inner = tokens.next().map(|name| name.to_string());
                    continue;
                }
                TokenTree::Ident(word) if is_path(&mut tokens) && before < 2 => {
                    let mut path = vec![word.to_string()];
                    follow(&mut tokens, &mut path);
                    // One word before `::<` is a method with its types.
                    let path = Some(path).filter(|path| path.len() > 1);
                    let path = path.and_then(|path| self.absolute(&path, module));
                    found.named.extend(path);
                }
                TokenTree::Group(group) => {
                    let is_of_visibility = is_public && group.delimiter() == Delimiter::Parenthesis;
                    let module = [module, inner.take().as_slice()].concat();
                    self.walk(group.stream(), &module, found);
                    if is_of_visibility {
                        continue;
                    }
                }
                TokenTree::Ident(_) | TokenTree::Literal(_) => {}
            }
            is_public = false;
            inner = None;
        }
    }

    /// A path as seen from the root of the crate; nothing where it leads into another crate, or is one of a type.
    fn absolute(&self, path: &[String], module: &[String]) -> Option<Words> {
        let (first, rest) = path.split_first()?;
        match first.as_str() {
            "crate" => Some(rest.to_vec()),
            "self" => Some([module, rest].concat()),
            "super" => {
                let up = path.iter().take_while(|word| *word == "super").count();
                let above = &module[..module.len().saturating_sub(up)];
                Some([above, &path[up..]].concat())
            }
            _ => {
                let child = [module, std::slice::from_ref(first)].concat();
                let is_child = self.modules.contains(&child);
                is_child.then(|| [module, path].concat())
            }
        }
    }
}

fn is_path(tokens: &mut Peekable<IntoIter>) -> bool {
    let mut ahead = tokens.clone();
    let mut is_colon =
        || matches!(ahead.next(), Some(TokenTree::Punct(punct)) if punct.as_char() == ':');
    is_colon() && is_colon()
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

/// Follows a path to its last word.
fn follow(tokens: &mut Peekable<IntoIter>, path: &mut Words) {
    while is_path(tokens) {
        let mut ahead = tokens.clone();
        let Some(TokenTree::Ident(word)) = ahead.nth(2) else {
            return;
        };
        path.push(word.to_string());
        *tokens = ahead;
    }
}

/// The paths of a `use` and the names that they get, up to its end or to a comma.
fn use_tree(tokens: &mut Peekable<IntoIter>, mut path: Words, found: &mut Vec<(Words, String)>) {
    let mut name = None;
    while let Some(token) = tokens.next() {
        match token {
            TokenTree::Ident(word) if word == "as" => {
                name = tokens.next().map(|name| name.to_string());
            }
            TokenTree::Ident(word) if word == "self" && !path.is_empty() => {}
            TokenTree::Ident(word) => path.push(word.to_string()),
            TokenTree::Group(group) => {
                let mut inner = group.stream().into_iter().peekable();
                while inner.peek().is_some() {
                    use_tree(&mut inner, path.clone(), found);
                }
                path.clear();
            }
            TokenTree::Punct(punct) if matches!(punct.as_char(), ';' | ',') => break,
            TokenTree::Punct(_) | TokenTree::Literal(_) => {}
        }
    }
    if let Some(last) = path.last() {
        let name = name.unwrap_or_else(|| last.clone());
        found.push((path, name));
    }
}

#[test]
fn paths_are_found() {
    let module = words("context::child");
    let modules = BTreeSet::from([module.clone(), words("context::child::below")]);
    for (text, paths) in [
        ("use crate::task::TaskDef;", vec!["task::TaskDef"]),
        (
            "use crate::{a::{self, B as C}, d::E};",
            vec!["a", "a::B", "d::E"],
        ),
        ("use super::shared::Call;", vec!["context::shared::Call"]),
        ("use super::super::replay;", vec!["replay"]),
        ("use self::below::A;", vec!["context::child::below::A"]),
        (
            "fn f() { below::a(); other::b() }",
            vec!["context::child::below::a"],
        ),
        ("use below::A;", vec!["context::child::below::A"]),
        ("pub use below::A;", vec![]),
        ("pub(crate) use crate::a::B;", vec!["a::B"]),
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
        ("fn f() { x.below::<u8>(); A::below::b() }", vec![]),
        (
            "pub(crate) struct S { kind: crate::a::B, pub(super) c: C }",
            vec!["a::B"],
        ),
    ] {
        let found: Vec<String> = read(text, &module, &modules)
            .named
            .iter()
            .map(|path| path.join("::"))
            .collect();
        assert_eq!(found, paths, "{text}");
    }
}

#[test]
fn what_is_exported_again_is_found_where_it_is_declared() {
    let texts = [
        ("", "pub use a::B;"),
        ("a", "mod b; pub use b::{B, C as D};"),
        ("a::b", "pub struct B; pub struct C;"),
    ];
    let text = |(module, text): &(&str, &str)| {
        let module = if module.is_empty() {
            Vec::new()
        } else {
            words(module)
        };
        (module, (*text).to_owned())
    };
    let modules = Modules::of(texts.iter().map(text).collect());
    for path in ["B", "a::B", "a::D", "a::b::C", "B::new"] {
        assert_eq!(
            modules.declaring(&words(path)),
            Some(words("a::b")),
            "{path}"
        );
    }
}
