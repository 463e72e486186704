//! The rules of a workflow, each stated above its function.

use quote::ToTokens;
use syn::punctuated::Punctuated;
use syn::{FnArg, Token};

use super::model::Workflow;
use crate::diag::Diagnostics;
use crate::function::Function;
use crate::signature;

const WHAT: signature::What = "a workflow";

/// The rules of the function as a whole.
pub(crate) fn function(function: &Function, diag: &mut Diagnostics) {
    let cure = "take what it needs from its input, or from `ctx.state::<T>()`";
    signature::has_no_self(&function.sig, WHAT, cure, diag);
    signature::is_not_generic(&function.sig, WHAT, diag);
    signature::has_no_modifiers(function, WHAT, diag);
    signature::says_no_self_type(function, WHAT, diag);
}

/// It takes its context, which holds the input, and nothing else.
pub(crate) fn takes_its_context(workflow: &Workflow, diag: &mut Diagnostics) {
    if workflow.inputs.is_empty() {
        let message = "a workflow takes `ctx: ExecutionContext<Input>` first; `ExecutionContext` alone if it has no input";
        diag.error(&workflow.ident, message);
    } else if !workflow.takes_its_context() {
        let rest: Punctuated<&FnArg, Token![,]> = workflow.inputs.iter().skip(1).collect();
        let cure = "put it into the input, `ctx: ExecutionContext<Input>`, or have it from `ctx.state::<T>()`";
        diag.error(
            rest,
            format!("a workflow takes nothing after its context: {cure}"),
        );
    }
}

/// Its input and its output are recorded.
pub(crate) fn types(workflow: &Workflow, diag: &mut Diagnostics) {
    let ty = &workflow
        .context
        .as_ref()
        .map(ToTokens::to_token_stream)
        .unwrap_or_default();
    if let Some(token) = signature::find_impl(ty) {
        diag.error(
            token,
            "a workflow cannot take `impl Trait`: its input is recorded, so its type has a name",
        );
    } else if let Some(token) = signature::find_reference(ty) {
        diag.error(token, "a workflow takes its context by value, and an input that owns what it holds: `String`, not `&str`");
    } else if let Some(token) = signature::find_lifetime(ty) {
        diag.error(token, "a workflow's input owns what it holds: no lifetimes");
    }
    workflow.output.check(WHAT, diag);
    workflow
        .output
        .has_an_error_to_name(workflow.args.error.as_ref(), diag);
}

/// It waits, for tasks and timers and people.
pub(crate) fn asyncness(function: &Function, diag: &mut Diagnostics) {
    if function.sig.asyncness.is_none() {
        diag.error(
            function.sig.fn_token,
            "a workflow is an `async fn`: it waits for tasks and timers",
        );
    }
}
