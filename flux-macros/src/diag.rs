//! Mistakes, gathered before any is reported.

use proc_macro2::{Span, TokenStream};
use quote::ToTokens;

/// The mistakes found so far.
#[derive(Default)]
pub(crate) struct Diagnostics {
    errors: Vec<syn::Error>,
}

impl Diagnostics {
    /// Notes a mistake on the guilty tokens.
    pub(crate) fn error(&mut self, at: impl ToTokens, message: impl std::fmt::Display) {
        self.errors.push(syn::Error::new_spanned(at, message));
    }

    /// Notes a mistake on the attribute itself.
    pub(crate) fn here(&mut self, message: impl std::fmt::Display) {
        self.errors
            .push(syn::Error::new(Span::call_site(), message));
    }

    /// Notes a mistake that somebody else has found.
    pub(crate) fn absorb(&mut self, error: syn::Error) {
        self.errors.push(error);
    }

    /// These mistakes and then the others.
    pub(crate) fn and(mut self, others: Self) -> Self {
        self.errors.extend(others.errors);
        self
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.errors.is_empty()
    }

    /// The `compile_error!`s, one for each mistake.
    pub(crate) fn into_tokens(self) -> TokenStream {
        self.errors
            .iter()
            .map(syn::Error::to_compile_error)
            .collect()
    }
}
