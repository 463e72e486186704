//! `#[task]`.

use proc_macro2::TokenStream;

use crate::diag::Diagnostics;
use crate::fallback;
use crate::function::Function;

mod args;
mod check;
mod expand;
mod model;

use args::Args;
use model::Task;

pub(crate) fn expand(args: TokenStream, item: TokenStream) -> TokenStream {
    let (mut in_options, mut in_item) = (Diagnostics::default(), Diagnostics::default());
    let args = Args::read(args, &mut in_options);
    let Ok(function) = syn::parse2::<Function>(item.clone()) else {
        in_item.error(&item, "`#[task]` stands on an `async fn` with a body");
        return fallback::item(item, in_item);
    };
    check::function(&function, &mut in_item);
    let task = Task::new(&function, args, &mut in_item);
    check::options(&function, &task, &mut in_options);
    check::types(&task, &mut in_item);
    let errors = in_options.into_tokens();
    if in_item.is_empty() {
        // A mistake among the options does not keep the task from being used elsewhere.
        let mut expanded = expand::task(&task);
        expanded.extend(errors);
        expanded
    } else {
        let mut emitted = fallback::item(function, in_item);
        emitted.extend(errors);
        emitted
    }
}
