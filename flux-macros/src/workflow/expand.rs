//! The expansion of a workflow.

use proc_macro2::{Ident, TokenStream};
use quote::{ToTokens, quote, quote_spanned};
use syn::ext::IdentExt;
use syn::spanned::Spanned;

use super::model::Workflow;
use crate::output::probe;
use crate::tokens;

pub(crate) fn workflow(workflow: &Workflow) -> TokenStream {
    let private = &workflow.args.facade.private();
    let Workflow {
        attrs, vis, ident, ..
    } = workflow;
    let attrs = attrs.of_a_static();
    let input = workflow.input(private);
    let ok = workflow.output.ok(private);
    let body = body(workflow);
    let probes = probes(workflow, private);
    let assertions = assertions(workflow, private);
    let run = run(workflow, private);
    let definition = definition(workflow, private);
    // Used at least by its name, as soon as it is registered.
    quote! {
        #(#attrs)*
        #[allow(dead_code, non_upper_case_globals)]
        #vis static #ident: #private::Workflow<#input, #ok> = {
            #body
            #probes
            #assertions
            #run
            #definition
            #private::Workflow::private_new(&__FLUX_WORKFLOW)
        };
    }
}

/// The function as it was written, under another name: its own is the value's.
fn body(workflow: &Workflow) -> TokenStream {
    let Workflow {
        attrs,
        inputs,
        output,
        body,
        ..
    } = workflow;
    let name = body_name(workflow);
    let output = output.ty();
    let attrs = attrs.of_the_body();
    quote! {
        #attrs
        async fn #name(#inputs) -> #output #body
    }
}

fn body_name(workflow: &Workflow) -> Ident {
    tokens::body_name(&workflow.ident)
}

/// What is known of the types.
fn probes(workflow: &Workflow, private: &TokenStream) -> TokenStream {
    let ty = workflow.output.ty();
    let context = workflow.context(private);
    let result = probe(ty, private, "RESULT");
    let is_context = probe(&context, private, "CONTEXT");
    let ok_type = quote!(<__FluxReturned as #private::Returns<__FLUX_RESULT>>::Ok);
    let err_type = quote!(<__FluxReturned as #private::Returns<__FLUX_RESULT>>::Err);
    let is_input = probe(&quote!(__FluxInput), private, "INPUT");
    let output = probe(&quote!(__FluxOk), private, "RECORDABLE");
    let default = workflow.args.admission.is_scheduled().then(|| {
        let default = probe(&quote!(__FluxInput), private, "DEFAULT");
        quote!(const __FLUX_DEFAULT: bool = #default;)
    });
    quote! {
        type __FluxContext = #context;
        const __FLUX_CONTEXT: bool = #is_context;
        type __FluxInput = <__FluxContext as #private::Context<__FLUX_CONTEXT>>::Input;
        type __FluxReturned = #ty;
        const __FLUX_RESULT: bool = #result;
        type __FluxOk = #ok_type;
        type __FluxErr = #err_type;
        const __FLUX_INPUT: bool = #is_input;
        const __FLUX_OUTPUT: bool = #output;
        #default
    }
}

/// What is demanded of the types, each on its own tokens.
fn assertions(workflow: &Workflow, private: &TokenStream) -> TokenStream {
    let context = workflow.context(private);
    let input = workflow.input_tokens();
    let ok = workflow.output.ok_tokens();
    let error = workflow.output.error_tokens();
    let display = probe(&quote!(__FluxErr), private, "DISPLAY");
    let context = quote_spanned!(context.span() => #private::assert_context::<__FluxContext, __FLUX_CONTEXT>(););
    let default = workflow.args.admission.is_scheduled().then(|| {
        quote_spanned! { input.span() =>
            #private::assert_scheduled::<__FluxInput, { __FLUX_DEFAULT || !__FLUX_INPUT || !__FLUX_CONTEXT }>();
        }
    });
    let input = quote_spanned! { input.span() =>
        #private::assert_input::<__FluxInput, { __FLUX_INPUT || !__FLUX_CONTEXT }>();
    };
    let output = quote_spanned!(ok.span() => #private::assert_output::<__FluxOk, __FLUX_OUTPUT>(););
    let error = quote_spanned!(error.span() => #private::assert_error::<__FluxErr, #display>(););
    quote! {
        const _: fn() = || {
            #context
            #input
            #default
            #output
            #error
        };
    }
}

/// The function that begins an execution.
fn run(workflow: &Workflow, private: &TokenStream) -> TokenStream {
    let body = body_name(workflow);
    let describe = tokens::describe(private, workflow.error_name(), &quote!(true));
    let future = if workflow.takes_its_context() {
        quote_spanned!(workflow.body.span() => #private::run_workflow(#body(__flux_context), __flux_finish))
    } else {
        quote!(#private::no_workflow(__flux_context))
    };
    quote! {
        fn __flux_run(__flux_raw: #private::RawContext) -> #private::Result<#private::WorkflowFuture, #private::PayloadError> {
            let __flux_context = <__FluxInput as #private::Input<__FLUX_INPUT>>::context(__flux_raw)?;
            let __flux_context = <__FluxContext as #private::Context<__FLUX_CONTEXT>>::receive(__flux_context);
            #private::Result::Ok(#future)
        }

        fn __flux_finish(__flux_returned: __FluxReturned) -> #private::Result<#private::Payload, #private::BodyError> {
            #private::finish::<__FluxReturned, __FLUX_RESULT, _>(
                __flux_returned,
                |__flux_value| <__FluxOk as #private::Output<__FLUX_OUTPUT>>::of_workflow(__flux_value),
                |__flux_error| #describe,
            )
        }
    }
}

/// The definition and its registration.
fn definition(workflow: &Workflow, private: &TokenStream) -> TokenStream {
    let args = &workflow.args;
    let name = args
        .name
        .clone()
        .unwrap_or_else(|| workflow.ident.unraw().to_string());
    let version = args.version;
    let accepts = args.accepts.clone().unwrap_or(version..=version);
    let (first, last) = (accepts.start(), accepts.end());
    let timeout = tokens::limit("timeout", args.timeout, private);
    let deadline = tokens::limit("deadline", args.deadline, private);
    let max_attempts = args
        .max_attempts
        .map(|attempts| quote!(max_attempts: #private::Option::Some(#attempts),));
    let restart = args
        .restart
        .then(|| quote!(restart: true,).to_token_stream());
    let admission = args.admission.fields(private);
    let default_input = if args.admission.is_scheduled() {
        quote!(#private::Option::Some(<__FluxInput as #private::DefaultInput<__FLUX_DEFAULT>>::default_input))
    } else {
        quote!(#private::Option::None)
    };
    let error_name = tokens::error_name(workflow.error_name(), private);
    quote! {
        static __FLUX_WORKFLOW: #private::WorkflowDef = #private::WorkflowDef {
            name: #name,
            module: ::core::module_path!(),
            version: #version,
            accepts: #private::RangeInclusive::new(#first, #last),
            options: #private::WorkflowOptions {
                #timeout
                #deadline
                #max_attempts
                #restart
                #admission
                ..#private::WorkflowOptions::DEFAULT
            },
            run: __flux_run,
            reencode: <__FluxInput as #private::Input<__FLUX_INPUT>>::reencode,
            default_input: #default_input,
        };
        #private::inventory::submit! { #private::WorkflowEntry(&__FLUX_WORKFLOW) }
        #error_name
    }
}
