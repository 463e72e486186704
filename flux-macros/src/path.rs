//! Where the facade is.

use proc_macro2::TokenStream;
use quote::{format_ident, quote};
use syn::Path;

use crate::manifest::{self, Called};

/// The path of the facade crate: what `crate = ..` says, else the name that the dependency has, else `::flux`.
#[derive(Default)]
pub(crate) struct Facade {
    path: Option<Path>,
    is_missing: bool,
}

impl Facade {
    pub(crate) fn new(renamed: Option<Path>) -> Self {
        if renamed.is_some() {
            return Self {
                path: renamed,
                is_missing: false,
            };
        }
        let called = manifest::called();
        let is_missing = called == Called::Missing;
        let path = match called {
            Called::Otherwise(name) => {
                let name = format_ident!("{name}");
                Some(syn::parse_quote!(::#name))
            }
            Called::ByItsName | Called::Missing => None,
        };
        Self { path, is_missing }
    }

    /// What to say of an `attribute` in a package that has no such dependency; nothing of it would compile.
    pub(crate) fn missing(&self, attribute: &str) -> Option<String> {
        self.is_missing.then(|| {
            format!(
                "`flux` is not among the dependencies of this package; if it is reached through another crate, say where: \
                 `#[{attribute}(crate = path::to::flux)]`"
            )
        })
    }

    /// The module that expansions call.
    pub(crate) fn private(&self) -> TokenStream {
        self.path.as_ref().map_or_else(
            || quote!(::flux::__private),
            |path| quote!(#path::__private),
        )
    }

    /// The name under which `select!` may be reached: the last segment of the path.
    pub(crate) fn name(&self) -> String {
        let renamed = self.path.as_ref().and_then(|path| path.segments.last());
        renamed.map_or_else(|| "flux".to_owned(), |segment| segment.ident.to_string())
    }
}
