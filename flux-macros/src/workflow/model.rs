//! The workflow: the function's own tokens, sorted.

use proc_macro2::{Group, Ident, TokenStream};
use quote::{ToTokens, quote};
use syn::punctuated::Punctuated;
use syn::{FnArg, LitStr, Token, Type, Visibility};

use super::args::WorkflowArgs;
use crate::attributes::Attributes;
use crate::function::Function;
use crate::output::{self, Output};

pub(crate) struct Workflow {
    pub(crate) args: WorkflowArgs,
    pub(crate) attrs: Attributes,
    pub(crate) vis: Visibility,
    pub(crate) ident: Ident,
    /// The type of the first parameter; `None` if there is none.
    pub(crate) context: Option<Type>,
    /// All parameters, more than there should be perhaps.
    pub(crate) inputs: Punctuated<FnArg, Token![,]>,
    pub(crate) output: Output,
    pub(crate) body: Group,
}

impl Workflow {
    pub(crate) fn new(function: &Function, args: WorkflowArgs) -> Self {
        Self {
            args,
            attrs: Attributes::sort(&function.attrs),
            vis: function.vis.clone(),
            ident: function.sig.ident.clone(),
            context: function.sig.inputs.first().and_then(typed),
            inputs: function.sig.inputs.clone(),
            output: Output::new(&function.sig.output),
            body: function.body.clone(),
        }
    }

    /// The name of its error's type, if it has an error.
    pub(crate) fn error_name(&self) -> Option<&LitStr> {
        self.args.error.as_ref().filter(|_| !self.output.is_plain())
    }

    /// Whether it takes its context and nothing else.
    pub(crate) fn takes_its_context(&self) -> bool {
        self.inputs.len() == 1
    }

    /// The type of the first parameter, or what it should have been.
    pub(crate) fn context(&self, private: &TokenStream) -> TokenStream {
        self.context.as_ref().map_or_else(
            || quote!(#private::ExecutionContext),
            ToTokens::to_token_stream,
        )
    }

    /// The type of the input, so that it reads well in signatures where that is possible.
    pub(crate) fn input(&self, private: &TokenStream) -> TokenStream {
        let ty = self.context(private);
        let input = || {
            let is_context = output::probe(&ty, private, "CONTEXT");
            quote!(<#ty as #private::Context<#is_context>>::Input)
        };
        self.spelled_input()
            .map_or_else(input, ToTokens::to_token_stream)
    }

    /// The tokens to underline when the input's type is at fault.
    pub(crate) fn input_tokens(&self) -> TokenStream {
        self.spelled_input()
            .map_or_else(|| self.context.to_token_stream(), ToTokens::to_token_stream)
    }

    /// The `T` of an `ExecutionContext<T>`.
    fn spelled_input(&self) -> Option<&Type> {
        let Some(Type::Path(path)) = &self.context else {
            return None;
        };
        let last = path
            .path
            .segments
            .last()
            .filter(|segment| segment.ident == "ExecutionContext")?;
        match output::arguments(last)[..] {
            [input] => Some(input),
            _ => None,
        }
    }
}

fn typed(input: &FnArg) -> Option<Type> {
    match input {
        FnArg::Typed(param) => Some(Type::clone(&param.ty)),
        FnArg::Receiver(_) => None,
    }
}
