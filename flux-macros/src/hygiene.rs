//! Every name that an expansion brings along is one that no user has.

use std::collections::BTreeSet;

use proc_macro2::{Spacing, TokenStream, TokenTree};
use quote::quote;

use crate::{task, workflow};

const KEYWORDS: &[&str] = &[
    "as", "async", "await", "bool", "const", "fn", "let", "match", "move", "mut", "pub", "static",
    "true", "type", "use", "_",
];

/// Whether no user has such a name.
fn is_ours(name: &str) -> bool {
    ["__flux", "__FLUX", "__Flux"]
        .iter()
        .any(|prefix| name.starts_with(prefix))
        || (name.starts_with("__") && (name.ends_with("_body") || name.starts_with("__argument_")))
}

/// Whether no trait of the user's has such a method, or it is found before any trait's.
fn is_our_method(name: &str) -> bool {
    name.starts_with("flux_") || name == "named"
}

/// The names that something of the user's could take the place of, or be hidden by: not those of fields and variants, of
/// what is imported as `_`, of lints.
fn names_in_scope(tokens: TokenStream, found: &mut BTreeSet<String>) {
    let tokens: Vec<TokenTree> = tokens.into_iter().collect();
    let is_punct = |at: Option<usize>, wanted: char| {
        let token = at.and_then(|at| tokens.get(at));
        matches!(token, Some(TokenTree::Punct(punct)) if punct.as_char() == wanted)
    };
    for (at, token) in tokens.iter().enumerate() {
        match token {
            TokenTree::Group(_) if is_punct(at.checked_sub(1), '#') => {}
            TokenTree::Group(group) => names_in_scope(group.stream(), found),
            TokenTree::Ident(name) => {
                let is_segment =
                    is_punct(at.checked_sub(1), ':') && is_punct(at.checked_sub(2), ':');
                let is_member =
                    is_punct(at.checked_sub(1), '.') && is_our_method(&name.to_string());
                let is_field = matches!(
                    tokens.get(at + 1),
                    Some(TokenTree::Punct(punct)) if punct.as_char() == ':' && punct.spacing() == Spacing::Alone
                );
                let is_imported =
                    matches!(tokens.get(at + 1), Some(TokenTree::Ident(name)) if name == "as");
                let is_field = is_field && !name.to_string().starts_with("__");
                if !(is_segment || is_member || is_field || is_imported) {
                    found.insert(name.to_string());
                }
            }
            TokenTree::Punct(_) | TokenTree::Literal(_) => {}
        }
    }
}

fn idents(tokens: TokenStream) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for token in tokens {
        match token {
            TokenTree::Ident(name) => drop(found.insert(name.to_string())),
            TokenTree::Group(group) => found.extend(idents(group.stream())),
            TokenTree::Punct(_) | TokenTree::Literal(_) => {}
        }
    }
    found
}

/// Checks that the names of an expansion are the user's own, or such as no user has.
#[track_caller]
fn check(
    expand: fn(TokenStream, TokenStream) -> TokenStream,
    args: TokenStream,
    item: TokenStream,
) {
    let written = idents(quote!(#args #item));
    let expansion = expand(args, item);
    assert!(
        !expansion.to_string().contains("compile_error"),
        "{expansion}"
    );
    let mut found = BTreeSet::new();
    names_in_scope(expansion, &mut found);
    found.retain(|name| {
        !written.contains(name) && !is_ours(name) && !KEYWORDS.contains(&name.as_str())
    });
    assert!(found.is_empty(), "{found:?}");
}

#[test]
fn a_task_brings_along_no_name_that_a_user_could_have() {
    let args = quote! {
        name = "charge-{region}", max_attempts = 3, backoff = "exponential(1s)", retry_if = is_transient,
        timeout = "30s", deadline = "1h", fallback = by_invoice, rollback = refund, at_most_once
    };
    let item = quote! {
        /// Docs.
        pub async fn charge(region: String, (a, b): (u32, u32), bank: State<Bank>) -> Result<u32, BankError> {}
    };
    check(task::expand, args, item);
    let item = quote!(
        fn hash(text: Text) -> Alias {}
    );
    check(task::expand, quote!(blocking), item);
    check(
        task::expand,
        quote!(),
        quote!(
            async fn wait() {}
        ),
    );
}

#[test]
fn a_workflow_brings_along_no_name_that_a_user_could_have() {
    let args = quote! {
        name = "orders", version = 2, accepts = 1..=2, timeout = "1h", deadline = "7d", max_attempts = 2,
        retry = "restart", schedule = "@daily", queue = "orders", concurrency = 1, on_conflict = "skip", tags("a")
    };
    let item = quote! {
        pub async fn place_order(ctx: ExecutionContext<Order>) -> Result<u32, ShopError> {}
    };
    check(workflow::expand, args, item);
    let item = quote!(
        async fn clean_up(ctx: Context) -> Alias {}
    );
    check(workflow::expand, quote!(), item);
}
