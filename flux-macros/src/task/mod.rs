//! `#[task]`.

use proc_macro2::TokenStream;
use quote::ToTokens;

use crate::diag::Diagnostics;
use crate::fallback;
use crate::function::Function;

mod args;
mod check;
mod definition;
mod expand;
mod model;

use args::TaskArgs;
use model::Task;

pub(crate) fn expand(args: TokenStream, item: TokenStream) -> TokenStream {
    let (mut in_options, mut in_item) = (Diagnostics::default(), Diagnostics::default());
    let args = TaskArgs::read(args, &mut in_options);
    let Ok(function) = syn::parse2::<Function>(item.clone()) else {
        in_item.error(&item, "`#[task]` stands on an `async fn` with a body");
        return fallback::item(item, in_item.and(in_options));
    };
    if let Some(message) = args.facade.missing("task") {
        in_item.here(message);
    }
    check::function(&function, &mut in_item);
    let task = Task::new(&function, args, &mut in_item);
    check::options(&function, &task, &mut in_options);
    check::types(&task, &mut in_item);
    let emitted = if in_item.is_empty() {
        expand::task(&task)
    } else {
        function.to_token_stream()
    };
    fallback::item(emitted, in_item.and(in_options))
}
