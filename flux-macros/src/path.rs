//! Where the facade is.

use proc_macro2::TokenStream;
use quote::quote;
use syn::Path;

/// The path of the facade crate: `::flux`, or what `crate = ..` says.
pub(crate) struct Facade(Option<Path>);

impl Facade {
    pub(crate) fn new(renamed: Option<Path>) -> Self {
        Self(renamed)
    }

    /// The module that expansions call.
    pub(crate) fn private(&self) -> TokenStream {
        self.0.as_ref().map_or_else(
            || quote!(::flux::__private),
            |path| quote!(#path::__private),
        )
    }

    /// The name under which `select!` may be reached: the last segment of the path.
    pub(crate) fn name(&self) -> String {
        let renamed = self.0.as_ref().and_then(|path| path.segments.last());
        renamed.map_or_else(|| "flux".to_owned(), |segment| segment.ident.to_string())
    }
}
