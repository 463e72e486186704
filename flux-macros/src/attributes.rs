//! Which of the user's other attributes go where.

use syn::Attribute;

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

/// Docs, lints and `cfg`s go to the item that users see; the rest, such as `#[instrument]`, rewrites a body and goes to
/// the function that holds it. Lints reach that too, because it stands inside.
pub(crate) fn sort(attrs: &[Attribute]) -> (Vec<Attribute>, Vec<Attribute>) {
    // The task that users call tracks its caller anyway.
    let kept = attrs
        .iter()
        .filter(|attr| !attr.path().is_ident("track_caller"))
        .cloned();
    kept.partition(|attr| {
        let first = attr.path().segments.first();
        first.is_some_and(|segment| OUTER.iter().any(|outer| segment.ident == outer))
    })
}
