//! `#[workflow]`.

use proc_macro2::TokenStream;
use quote::ToTokens;

use crate::diag::Diagnostics;
use crate::function::Function;
use crate::{fallback, select};

mod admission;
mod args;
mod check;
mod expand;
mod model;

use args::WorkflowArgs;
use model::Workflow;

pub(crate) fn expand(args: TokenStream, item: TokenStream) -> TokenStream {
    let (mut in_options, mut in_item) = (Diagnostics::default(), Diagnostics::default());
    let args = WorkflowArgs::read(args, &mut in_options);
    let biased = select::bias(item.clone(), &args.facade.name());
    let Ok(function) = syn::parse2::<Function>(biased) else {
        in_item.error(&item, "`#[workflow]` stands on an `async fn` with a body");
        return fallback::item(item, in_item.and(in_options));
    };
    if let Some(message) = args.facade.missing("workflow") {
        in_item.here(message);
    }
    check::function(&function, &mut in_item);
    let emitted = if in_item.is_empty() {
        let workflow = Workflow::new(&function, args);
        check::asyncness(&function, &mut in_item);
        check::takes_its_context(&workflow, &mut in_item);
        check::types(&workflow, &mut in_item);
        expand::workflow(&workflow)
    } else {
        function.to_token_stream()
    };
    fallback::item(emitted, in_item.and(in_options))
}
