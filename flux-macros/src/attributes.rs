//! Which of the user's other attributes go where.

use proc_macro2::{Ident, TokenStream, TokenTree};
use quote::{ToTokens, format_ident, quote};
use syn::{Attribute, Meta};

/// What belongs to the item that users see.
const OUTER: &[&str] = &[
    "allow",
    "cfg",
    "cfg_attr",
    "clippy",
    "deny",
    "deprecated",
    "doc",
    "expect",
    "forbid",
    "must_use",
    "rustdoc",
    "rustfmt",
    "warn",
];

/// The attributes that set the level of a lint.
const LEVELS: &[&str] = &["allow", "deny", "expect", "forbid", "warn"];

/// The lints of clippy's that are about a signature: the item that users see has them already, or a task cannot help it.
const OF_SIGNATURES: &[&str] = &[
    "needless_pass_by_value",
    "too_many_arguments",
    "unnecessary_wraps",
    "unused_async",
];

/// The user's attributes, sorted.
pub(crate) struct Attributes {
    /// Those of the item that users see.
    pub(crate) outer: Vec<Attribute>,
    /// Those of the function that holds the body.
    body: Vec<Attribute>,
}

impl Attributes {
    /// Docs, lints and `cfg`s go to the item that users see; the rest, such as `#[instrument]`, rewrites a body and goes to
    /// the function that holds it. Lints reach that too, because it stands inside.
    pub(crate) fn sort(attrs: &[Attribute]) -> Self {
        // The task that users call tracks its caller anyway.
        let kept = attrs
            .iter()
            .filter(|attr| !attr.path().is_ident("track_caller"))
            .cloned();
        let (outer, body) = kept.partition(is_outer);
        Self { outer, body }
    }

    /// Without `#[must_use]`, which a `static` cannot have: the calls of a workflow are `must_use` anyway.
    pub(crate) fn of_a_static(&self) -> impl Iterator<Item = &Attribute> {
        self.outer
            .iter()
            .filter(|attr| !attr.path().is_ident("must_use"))
    }

    /// Without a bare `#[must_use]`, which would repeat that of the call.
    pub(crate) fn of_a_call(&self) -> impl Iterator<Item = &Attribute> {
        self.outer
            .iter()
            .filter(|attr| !matches!(&attr.meta, Meta::Path(path) if path.is_ident("must_use")))
    }

    /// The attributes of the function that holds the body. Lints about its signature are off, but for those that the user
    /// speaks of: an `#[expect(..)]` has to find what it expects.
    pub(crate) fn of_the_body(&self) -> TokenStream {
        let Self { outer, body } = self;
        let levels = outer
            .iter()
            .filter(|attr| LEVELS.iter().any(|level| attr.path().is_ident(level)));
        let spoken_of: Vec<String> = levels
            .flat_map(|attr| idents(attr.to_token_stream()))
            .collect();
        let off: Vec<Ident> = OF_SIGNATURES
            .iter()
            .filter(|lint| !spoken_of.iter().any(|spoken| spoken == *lint))
            .map(|lint| format_ident!("{lint}"))
            .collect();
        let off = (!off.is_empty()).then(|| quote!(#[allow(#(clippy::#off),*)]));
        quote!(#off #(#body)*)
    }
}

fn is_outer(attr: &Attribute) -> bool {
    let first = attr.path().segments.first();
    first.is_some_and(|segment| OUTER.iter().any(|outer| segment.ident == outer))
}

fn idents(tokens: TokenStream) -> Vec<String> {
    let idents = tokens.into_iter().flat_map(|token| match token {
        TokenTree::Ident(ident) => vec![ident.to_string()],
        TokenTree::Group(group) => idents(group.stream()),
        TokenTree::Punct(_) | TokenTree::Literal(_) => Vec::new(),
    });
    idents.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use syn::parse_quote;

    fn sorted(attrs: &[Attribute]) -> Attributes {
        Attributes::sort(attrs)
    }

    fn shown<'a>(attrs: impl Iterator<Item = &'a Attribute>) -> Vec<String> {
        attrs
            .map(|attr| attr.to_token_stream().to_string())
            .collect()
    }

    #[test]
    fn what_rewrites_a_body_goes_to_it_and_the_rest_to_the_item() {
        let attrs = sorted(&[
            parse_quote!(#[doc = "Docs."]),
            parse_quote!(#[tracing::instrument]),
            parse_quote!(#[track_caller]),
            parse_quote!(#[cfg(unix)]),
        ]);
        assert_eq!(
            shown(attrs.outer.iter()),
            ["# [doc = \"Docs.\"]", "# [cfg (unix)]"]
        );
        assert!(
            attrs
                .of_the_body()
                .to_string()
                .ends_with("# [tracing :: instrument]")
        );
    }

    #[test]
    fn must_use_stays_where_it_means_something() {
        let attrs = sorted(&[
            parse_quote!(#[must_use]),
            parse_quote!(#[must_use = "it costs"]),
        ]);
        assert!(shown(attrs.of_a_static()).is_empty());
        assert_eq!(shown(attrs.of_a_call()), ["# [must_use = \"it costs\"]"]);
    }

    #[test]
    fn a_lint_that_the_user_expects_is_not_turned_off() {
        let attrs = sorted(&[parse_quote!(#[expect(clippy::unused_async, reason = "later")])]);
        let body = attrs.of_the_body().to_string();
        assert!(!body.contains("unused_async"), "{body}");
        assert!(body.contains("unnecessary_wraps"), "{body}");
    }
}
