//! `#[durable]`: a helper whose `select!`s poll in source order.

use proc_macro2::TokenStream;
use quote::ToTokens;
use syn::Path;

use crate::attr::Keys;
use crate::diag::Diagnostics;
use crate::function::Function;
use crate::path::Facade;
use crate::select;

const KEYS: Keys = Keys {
    attribute: "durable",
    known: &[("crate", "crate = flux")],
    later: &[],
    others: &[],
};

pub(crate) fn expand(args: TokenStream, item: TokenStream) -> TokenStream {
    let mut diag = Diagnostics::default();
    let facade = Facade::new(renamed(args, &mut diag));
    if syn::parse2::<Function>(item.clone()).is_err() {
        diag.error(
            item.to_token_stream(),
            "`#[durable]` stands on a function with a body",
        );
    }
    let mut tokens = select::bias(item, &facade.name());
    tokens.extend(diag.into_tokens());
    tokens
}

fn renamed(args: TokenStream, diag: &mut Diagnostics) -> Option<Path> {
    let entries = KEYS.read(args, diag);
    entries.first().and_then(|entry| KEYS.path(entry, diag))
}
