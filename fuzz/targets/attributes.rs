//! What the macros make of attributes and functions: Rust code, whatever they are given, with an error in it where they
//! cannot use it.

#![no_main]

use libfuzzer_sys::fuzz_target;
use proc_macro2::{Delimiter, TokenStream, TokenTree};

#[path = "../../flux-macros/src/attr.rs"]
mod attr;
#[path = "../../flux-macros/src/attributes.rs"]
mod attributes;
#[path = "../../flux-macros/src/backoff.rs"]
mod backoff;
#[path = "../../flux-macros/src/diag.rs"]
mod diag;
#[path = "../../flux-macros/src/durable.rs"]
mod durable;
#[path = "../../flux-macros/src/fallback.rs"]
mod fallback;
#[path = "../../flux-macros/src/function.rs"]
mod function;
#[path = "../../flux-macros/src/manifest.rs"]
mod manifest;
#[path = "../../flux-macros/src/nearest.rs"]
mod nearest;
#[path = "../../flux-macros/src/output.rs"]
mod output;
#[path = "../../flux-macros/src/path.rs"]
mod path;
#[path = "../../flux-macros/src/select.rs"]
mod select;
#[path = "../../flux-macros/src/signature.rs"]
mod signature;
#[path = "../../flux-macros/src/task/mod.rs"]
mod task;
#[path = "../../flux-macros/src/template.rs"]
mod template;
#[path = "../../flux-macros/src/tokens.rs"]
mod tokens;
#[path = "../../flux-macros/src/workflow/mod.rs"]
mod workflow;

fuzz_target!(|input: &str| {
    // The first line is what stands in the parentheses of the attribute.
    let (args, item) = input.split_once('\n').unwrap_or((input, ""));
    let (Ok(args), Ok(item)) = (args.parse::<TokenStream>(), item.parse::<TokenStream>()) else {
        return;
    };
    let is_code = syn::parse2::<syn::File>(item.clone()).is_ok() && !has_loose_plus(item.clone());
    for expand in [task::expand, workflow::expand, durable::expand] {
        let expanded = expand(args.clone(), item.clone());
        if is_code {
            let code = syn::parse2::<syn::File>(expanded.clone());
            assert!(code.is_ok(), "{:?}: {expanded}", code.err());
        }
    }
});

/// Whether a `+` has nothing behind it that it could add. `syn` takes `-> u32 +` for a type, which no compiler does.
fn has_loose_plus(tokens: TokenStream) -> bool {
    let mut tokens = tokens.into_iter().peekable();
    while let Some(token) = tokens.next() {
        let is_loose = match token {
            TokenTree::Group(group) => has_loose_plus(group.stream()),
            TokenTree::Punct(plus) if plus.as_char() == '+' => match tokens.peek() {
                None => true,
                Some(TokenTree::Punct(next)) => matches!(next.as_char(), ',' | ';' | '>' | '='),
                Some(TokenTree::Group(group)) => group.delimiter() == Delimiter::Brace,
                Some(TokenTree::Ident(word)) => word == "where",
                Some(TokenTree::Literal(_)) => false,
            },
            _ => false,
        };
        if is_loose {
            return true;
        }
    }
    false
}
