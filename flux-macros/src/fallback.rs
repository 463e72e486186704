//! What is emitted beside mistakes, so that one mistake is one error: as much of the item as can be.

use proc_macro2::TokenStream;
use quote::{ToTokens, quote};

use crate::diag::Diagnostics;

/// An item and its mistakes. The item is its expansion if it has one in spite of them, or else what the user wrote:
/// what uses it elsewhere should go on compiling.
pub(crate) fn item(item: impl ToTokens, diag: Diagnostics) -> TokenStream {
    let errors = diag.into_tokens();
    quote!(#item #errors)
}
