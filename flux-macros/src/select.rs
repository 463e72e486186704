//! Puts `biased;` into every `select!`, so that branches are polled in source order and a replay takes the same.

use proc_macro2::{Group, Ident, Span, TokenStream, TokenTree};
use quote::{quote, quote_spanned};

/// Rewrites the `select!`s in `tokens`, also those inside the arguments of other macros.
///
/// `tokio::select!`, `flux::select!` (`facade` is the facade's name) and a bare `select!` get `biased;` if they do not
/// have it; `futures::select!` becomes `futures::select_biased!`, as does a bare one with the `complete` or
/// `default` branches that only the one of `futures` has.
pub(crate) fn bias(tokens: TokenStream, facade: &str) -> TokenStream {
    let mut done: Vec<TokenTree> = Vec::new();
    for token in tokens {
        let TokenTree::Group(group) = token else {
            done.push(token);
            continue;
        };
        let inside = bias(group.stream(), facade);
        let inside = match flavour(&done, &inside, facade) {
            Some(Flavour::Tokio) => with_biased(inside, group.span_open()),
            Some(Flavour::Futures) => {
                let bang = done.pop();
                let name = done.pop().map_or_else(Span::call_site, |name| name.span());
                done.push(Ident::new("select_biased", name).into());
                done.extend(bang);
                inside
            }
            Some(Flavour::BareFutures) => {
                done.truncate(done.len() - 2);
                done.extend(quote!(::futures::select_biased!));
                inside
            }
            None => inside,
        };
        done.push(regroup(&group, inside));
    }
    done.into_iter().collect()
}

enum Flavour {
    Tokio,
    Futures,
    BareFutures,
}

/// Whose `select!` it is, if the tokens before a group end in one.
fn flavour(before: &[TokenTree], inside: &TokenStream, facade: &str) -> Option<Flavour> {
    let [path @ .., name, bang] = before else {
        return None;
    };
    if !is_punct(bang, '!') || !is_ident(name, "select") {
        return None;
    }
    match qualifier(path) {
        None if has_branches_of_futures(inside) => Some(Flavour::BareFutures),
        None => Some(Flavour::Tokio),
        Some(krate) if krate == "tokio" || krate == "flux" || krate == facade => {
            Some(Flavour::Tokio)
        }
        Some(krate) if krate == "futures" || krate == "futures_util" => Some(Flavour::Futures),
        Some(_) => None,
    }
}

/// The path segment that the tokens end in, if they end in `segment::`.
fn qualifier(path: &[TokenTree]) -> Option<String> {
    match path {
        [.., segment, first, second] if is_punct(first, ':') && is_punct(second, ':') => {
            Some(segment.to_string())
        }
        _ => None,
    }
}

/// Whether there is a branch `complete => ..` or `default => ..`.
fn has_branches_of_futures(inside: &TokenStream) -> bool {
    let tokens: Vec<TokenTree> = inside.clone().into_iter().collect();
    tokens.windows(3).enumerate().any(|(i, window)| {
        let begins =
            i == 0 || is_punct(&tokens[i - 1], ',') || matches!(tokens[i - 1], TokenTree::Group(_));
        let named = is_ident(&window[0], "complete") || is_ident(&window[0], "default");
        begins && named && is_punct(&window[1], '=') && is_punct(&window[2], '>')
    })
}

fn with_biased(inside: TokenStream, at: Span) -> TokenStream {
    let mut tokens = inside.clone().into_iter();
    let first = tokens.next();
    let is_biased = first
        .as_ref()
        .is_some_and(|first| is_ident(first, "biased"))
        && tokens.next().is_some_and(|second| is_punct(&second, ';'));
    if is_biased || first.is_none() {
        return inside;
    }
    let biased = quote_spanned!(Span::call_site().located_at(at) => biased;);
    quote!(#biased #inside)
}

fn regroup(group: &Group, inside: TokenStream) -> TokenTree {
    let mut rewritten = Group::new(group.delimiter(), inside);
    rewritten.set_span(group.span());
    rewritten.into()
}

fn is_punct(token: &TokenTree, expected: char) -> bool {
    matches!(token, TokenTree::Punct(punct) if punct.as_char() == expected)
}

fn is_ident(token: &TokenTree, expected: &str) -> bool {
    matches!(token, TokenTree::Ident(ident) if ident == expected)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(before: &str, after: &str) {
        let tokens = |text: &str| text.parse::<TokenStream>().unwrap();
        assert_eq!(
            bias(tokens(before), "renamed").to_string(),
            tokens(after).to_string()
        );
    }

    #[test]
    fn every_select_of_tokio_and_flux_is_polled_in_source_order() {
        check("select! { a = b => c }", "select! { biased; a = b => c }");
        check(
            "tokio::select! { a = b => c }",
            "tokio::select! { biased; a = b => c }",
        );
        check(
            "::tokio::select!(a = b => c)",
            "::tokio::select!(biased; a = b => c)",
        );
        check(
            "flux::select![a = b => c]",
            "flux::select![biased; a = b => c]",
        );
        check(
            "renamed::select! { a = b => c }",
            "renamed::select! { biased; a = b => c }",
        );
    }

    #[test]
    fn one_that_is_in_source_order_stays_as_it_is() {
        check(
            "select! { biased; a = b => c }",
            "select! { biased; a = b => c }",
        );
        check("tokio::select! {}", "tokio::select! {}");
        check(
            "select! { biased = b => c }",
            "select! { biased; biased = b => c }",
        );
    }

    #[test]
    fn those_inside_other_macros_and_branches_are_found() {
        check(
            "loop { join!(a, async { select! { x = y => { tokio::select! { p = q => r } } } }) }",
            "loop { join!(a, async { select! { biased; x = y => { tokio::select! { biased; p = q => r } } } }) }",
        );
    }

    #[test]
    fn those_of_futures_have_another_name() {
        check(
            "futures::select! { a = b => c }",
            "futures::select_biased! { a = b => c }",
        );
        check(
            "futures_util::select! { a = b => c }",
            "futures_util::select_biased! { a = b => c }",
        );
        check(
            "select! { a = b => c, complete => d }",
            "::futures::select_biased! { a = b => c, complete => d }",
        );
        check(
            "{ select! { default => d, a = b => c } }",
            "{ ::futures::select_biased! { default => d, a = b => c } }",
        );
        check(
            "select! { a = default => d }",
            "select! { biased; a = default => d }",
        );
    }

    #[test]
    fn what_only_looks_like_one_is_left_alone() {
        for text in [
            "select(a, b)",
            "futures::future::select(a, b)",
            "crossbeam::select! { a }",
            "x != (select)",
            "let select = !(a);",
            "futures::select_biased! { a = b => c }",
        ] {
            check(text, text);
        }
    }
}
