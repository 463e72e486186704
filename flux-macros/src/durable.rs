//! `#[durable]`: a helper whose `select!`s poll in source order.

use proc_macro2::TokenStream;
use syn::Path;

use crate::attr::Keys;
use crate::diag::Diagnostics;
use crate::function::Function;
use crate::path::Facade;
use crate::{fallback, select};

const KEYS: Keys = Keys {
    attribute: "durable",
    known: &[("crate", "crate = flux")],
    later: &[],
    others: &[],
    repeated: &[],
};

pub(crate) fn expand(args: TokenStream, item: TokenStream) -> TokenStream {
    let mut diag = Diagnostics::default();
    let facade = Facade::new(renamed(args, &mut diag));
    if syn::parse2::<Function>(item.clone()).is_err() {
        diag.error(&item, "`#[durable]` stands on a function with a body");
    }
    fallback::item(select::bias(item, &facade.name()), diag)
}

fn renamed(args: TokenStream, diag: &mut Diagnostics) -> Option<Path> {
    let entries = KEYS.read(args, diag);
    entries.first().and_then(|entry| KEYS.path(entry, diag))
}
