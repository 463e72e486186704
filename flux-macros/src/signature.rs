//! The rules that hold for the signatures of tasks and workflows alike.

use proc_macro2::{Spacing, TokenStream, TokenTree};
use quote::{ToTokens, quote};
use syn::{FnArg, Safety, Signature};

use crate::diag::Diagnostics;
use crate::function::Function;

/// What a rule calls the item: "a task", "a workflow".
pub(crate) type What = &'static str;

/// Its name and types are recorded, so they are fixed.
pub(crate) fn is_not_generic(signature: &Signature, what: What, diag: &mut Diagnostics) {
    let generics = &signature.generics;
    if !generics.params.is_empty() {
        let cure = "write one for each type, and let them share a generic function";
        diag.error(
            &generics.params,
            format!("{what} cannot be generic: its name and types are recorded; {cure}"),
        );
    } else if let Some(clause) = &generics.where_clause {
        diag.error(
            clause,
            format!(
                "{what} cannot have a `where` clause: its types are recorded, so they are fixed"
            ),
        );
    }
}

/// It is called by name, by a process that may have no such value.
pub(crate) fn has_no_self(signature: &Signature, what: What, cure: &str, diag: &mut Diagnostics) {
    if let Some(FnArg::Receiver(receiver)) = signature.inputs.first() {
        let why = "it may run again in another process, where there is no such value";
        diag.error(
            receiver,
            format!("{what} cannot take `self`: {why}; {cure}"),
        );
    }
}

/// Its body runs from several places, and safely.
pub(crate) fn has_no_modifiers(function: &Function, what: What, diag: &mut Diagnostics) {
    let signature = &function.sig;
    if let Safety::Unsafe(token) = &signature.safety {
        diag.error(
            token,
            format!("{what} cannot be `unsafe`: Flux calls it; put an `unsafe` block inside"),
        );
    }
    if let Some(token) = &signature.constness {
        diag.error(token, format!("{what} cannot be `const`"));
    }
    if let Some(abi) = &signature.abi {
        diag.error(abi, format!("{what} cannot be `extern`"));
    }
    if let Some(variadic) = &signature.variadic {
        diag.error(variadic, format!("{what} cannot be variadic"));
    }
}

/// The expansion puts the body into an item of its own, where `Self` means nothing.
pub(crate) fn says_no_self_type(function: &Function, what: What, diag: &mut Diagnostics) {
    let (inputs, output, body) = (&function.sig.inputs, &function.sig.output, &function.body);
    if let Some(token) = find_self_type(quote!(#inputs #output #body)) {
        diag.error(
            token,
            format!("{what} cannot say `Self`: write the name of the type"),
        );
    }
}

/// The first `Self` that is not inside an item of its own.
fn find_self_type(tokens: TokenStream) -> Option<TokenTree> {
    let mut in_item = false;
    for token in tokens {
        match token {
            TokenTree::Ident(ident) if ident == "Self" => return Some(ident.into()),
            TokenTree::Ident(ident) => {
                in_item |= ["impl", "trait", "struct", "enum", "union"]
                    .iter()
                    .any(|item| ident == item);
            }
            TokenTree::Punct(punct) if punct.as_char() == ';' => in_item = false,
            TokenTree::Group(group)
                if group.delimiter() == proc_macro2::Delimiter::Brace && in_item =>
            {
                in_item = false;
            }
            TokenTree::Group(group) => {
                if let Some(found) = find_self_type(group.stream()) {
                    return Some(found);
                }
            }
            _ => {}
        }
    }
    None
}

/// The first `&`.
pub(crate) fn find_reference(tokens: &impl ToTokens) -> Option<TokenStream> {
    find(tokens.to_token_stream(), &mut |tokens| match tokens {
        [TokenTree::Punct(and), ..] if and.as_char() == '&' => Some(tokens[0].to_token_stream()),
        _ => None,
    })
}

/// The first lifetime that is not `'static`.
pub(crate) fn find_lifetime(tokens: &impl ToTokens) -> Option<TokenStream> {
    find(tokens.to_token_stream(), &mut |tokens| match tokens {
        [TokenTree::Punct(quote), TokenTree::Ident(name), ..]
            if quote.as_char() == '\'' && quote.spacing() == Spacing::Joint && name != "static" =>
        {
            Some(tokens[..2].iter().cloned().collect())
        }
        _ => None,
    })
}

/// The first `impl`.
pub(crate) fn find_impl(tokens: &impl ToTokens) -> Option<TokenStream> {
    find(tokens.to_token_stream(), &mut |tokens| match tokens {
        [TokenTree::Ident(ident), ..] if ident == "impl" => Some(tokens[0].to_token_stream()),
        _ => None,
    })
}

/// Asks `matches` at every token, groups included.
fn find(
    tokens: TokenStream,
    matches: &mut impl FnMut(&[TokenTree]) -> Option<TokenStream>,
) -> Option<TokenStream> {
    let tokens: Vec<TokenTree> = tokens.into_iter().collect();
    (0..tokens.len()).find_map(|i| {
        matches(&tokens[i..]).or_else(|| match &tokens[i] {
            TokenTree::Group(group) => find(group.stream(), matches),
            _ => None,
        })
    })
}
