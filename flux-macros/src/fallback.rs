//! What is emitted when an item cannot be expanded: the item, so that one mistake is one error.

use proc_macro2::TokenStream;
use quote::{ToTokens, quote};

use crate::diag::Diagnostics;

/// The item as it was written, and its mistakes.
pub(crate) fn item(item: impl ToTokens, diag: Diagnostics) -> TokenStream {
    let errors = diag.into_tokens();
    quote!(#item #errors)
}
