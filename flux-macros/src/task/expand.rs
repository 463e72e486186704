//! The expansion of a task.

use proc_macro2::{Ident, Span, TokenStream};
use quote::{ToTokens, format_ident, quote, quote_spanned};
use syn::spanned::Spanned;

use super::args::Name;
use super::definition;
use super::model::{Param, Task};
use crate::output::probe;
use crate::template::Part;
use crate::tokens;

pub(crate) fn task(task: &Task) -> TokenStream {
    let private = &task.args.facade.private();
    let Task {
        attrs, vis, ident, ..
    } = task;
    let attrs = attrs.of_a_call();
    let params = task
        .arguments()
        .map(|Param { name, ty, .. }| quote!(#name: #ty));
    let ok = task.output.ok(private);
    let body = body(task);
    let probes = probes(task, private);
    let assertions = assertions(task, private);
    let start = start(task, private);
    let definition = definition::definition(task, private);
    let call = call(task, private);
    quote! {
        #(#attrs)*
        #[track_caller]
        #vis fn #ident(#(#params),*) -> #private::TaskCall<#ok> {
            #body
            #probes
            #assertions
            #start
            #definition
            #call
        }
    }
}

/// The function as it was written, under another name, so that it can call itself as a task.
fn body(task: &Task) -> TokenStream {
    let Task {
        attrs,
        asyncness,
        output,
        body,
        ..
    } = task;
    let name = body_name(task);
    let params = task
        .params
        .iter()
        .map(|Param { attrs, pat, ty, .. }| quote!(#(#attrs)* #pat: #ty));
    let output = output.ty();
    let attrs = attrs.of_the_body();
    quote! {
        #attrs
        #asyncness fn #name(#(#params),*) -> #output #body
    }
}

fn body_name(task: &Task) -> Ident {
    tokens::body_name(&task.ident)
}

/// What is known of the types.
fn probes(task: &Task, private: &TokenStream) -> TokenStream {
    let ty = task.output.ty();
    let result = probe(ty, private, "RESULT");
    let arguments = task.arguments().enumerate().map(|(i, Param { ty, .. })| {
        let (recordable, name) = (probe(ty, private, "RECORDABLE"), argument(i));
        quote!(const #name: bool = #recordable;)
    });
    let ok_type = quote!(<__FluxReturned as #private::Returns<__FLUX_RESULT>>::Ok);
    let err_type = quote!(<__FluxReturned as #private::Returns<__FLUX_RESULT>>::Err);
    let output = probe(&ok_type, private, "RECORDABLE");
    quote! {
        type __FluxReturned = #ty;
        const __FLUX_RESULT: bool = #result;
        type __FluxOk = #ok_type;
        type __FluxErr = #err_type;
        const __FLUX_OUTPUT: bool = #output;
        #(#arguments)*
    }
}

/// Whether the argument of this number can be recorded.
fn argument(index: usize) -> Ident {
    format_ident!("__FLUX_ARGUMENT_{index}")
}

/// What is demanded of the types, each on its own tokens.
fn assertions(task: &Task, private: &TokenStream) -> TokenStream {
    let arguments = task.arguments().enumerate().map(|(i, Param { ty, .. })| {
        let (recordable, state) = (argument(i), probe(ty, private, "STATE"));
        quote_spanned! { ty.span() =>
            #private::assert_not_state::<#ty, #state>();
            #private::assert_argument::<#ty, { #recordable || #state }>();
        }
    });
    let ok = task.output.ok_tokens();
    let error = task.output.error_tokens();
    let display = probe(&quote!(__FluxErr), private, "DISPLAY");
    let output = quote_spanned!(ok.span() => #private::assert_output::<__FluxOk, __FLUX_OUTPUT>(););
    let error = quote_spanned!(error.span() => #private::assert_error::<__FluxErr, #display>(););
    quote! {
        const _: fn() = || {
            #(#arguments)*
            #output
            #error
        };
    }
}

/// The function that starts the body on its arguments.
fn start(task: &Task, private: &TokenStream) -> TokenStream {
    let recorded = recorded_type(task, private);
    let unpack = unpack(task, private);
    let injected = task.injected().map(|Param { local, ty, .. }| {
        quote_spanned!(ty.span() => let #local = <#ty as #private::Injected>::take(__flux_states)?;)
    });
    let names = task.params.iter().map(|param| &param.local);
    let body = body_name(task);
    let span = task.body.span();
    let started = if task.asyncness.is_some() {
        quote_spanned!(span => #private::run_async(#body(#(#names),*), __flux_finish))
    } else if task.params.is_empty() {
        // A closure around it would be called redundant by lints, in the user's own code.
        quote_spanned!(span => #private::run_blocking(#body, __flux_finish))
    } else {
        quote_spanned!(span => #private::run_blocking(move || #body(#(#names),*), __flux_finish))
    };
    let finish = finish(task, private);
    quote! {
        type __FluxRecorded = #recorded;

        fn __flux_start(
            __flux_recorded: __FluxRecorded,
            __flux_states: &#private::States,
        ) -> #private::Result<#private::Started, #private::StartError> {
            let _ = __flux_states;
            #unpack
            #(#injected)*
            #private::Result::Ok(#started)
        }

        #finish
    }
}

/// What is recorded of a call: a tuple, that is a JSON array.
fn recorded_type(task: &Task, private: &TokenStream) -> TokenStream {
    let types = task.arguments().enumerate().map(|(i, Param { ty, .. })| {
        let recordable = argument(i);
        quote!(<#ty as #private::Argument<#recordable>>::Recorded)
    });
    let types: Vec<TokenStream> = types.collect();
    // `()` would be recorded as `null`.
    if types.is_empty() {
        quote!([(); 0])
    } else {
        quote!((#(#types,)*))
    }
}

/// Binds the arguments to their names.
pub(super) fn unpack(task: &Task, private: &TokenStream) -> TokenStream {
    let names: Vec<&Ident> = task.arguments().map(|param| &param.local).collect();
    if names.is_empty() {
        return quote!(let _ = __flux_recorded;);
    }
    let restored = task
        .arguments()
        .enumerate()
        .map(|(i, Param { ty, local, .. })| {
            let recordable = argument(i);
            quote!(let #local = <#ty as #private::Argument<#recordable>>::restore(#local);)
        });
    quote! {
        let (#(#names,)*) = __flux_recorded;
        #(#restored)*
    }
}

/// The function that makes data of what the body returned.
fn finish(task: &Task, private: &TokenStream) -> TokenStream {
    let describe = tokens::describe(private, task.error_name(), &retry_if(task, private));
    quote! {
        fn __flux_finish(__flux_returned: __FluxReturned) -> #private::BodyResult {
            #private::finish::<__FluxReturned, __FLUX_RESULT, _>(
                __flux_returned,
                |__flux_value| <__FluxOk as #private::Output<__FLUX_OUTPUT>>::of_task(__flux_value),
                |__flux_error| #describe,
            )
        }
    }
}

/// Whether the error, in `__flux_error`, is worth another attempt.
fn retry_if(task: &Task, private: &TokenStream) -> TokenStream {
    let Some(retry_if) = task
        .args
        .retry_if
        .as_ref()
        .filter(|_| !task.output.is_plain())
    else {
        return quote!(true);
    };
    quote_spanned! { retry_if.span() => {
        fn __flux_retry_if(
            __flux_error: &<__FluxReturned as #private::Fallible<__FLUX_RESULT>>::Error,
        ) -> bool {
            let __flux_asked: fn(&<__FluxReturned as #private::Fallible<__FLUX_RESULT>>::Error) -> bool = #retry_if;
            __flux_asked(__flux_error)
        }
        __flux_retry_if(__flux_error)
    }}
}

/// The call that the function returns.
fn call(task: &Task, private: &TokenStream) -> TokenStream {
    let arguments = task
        .arguments()
        .enumerate()
        .map(|(i, Param { ty, name, .. })| {
            let recordable = argument(i);
            quote!(<#ty as #private::Argument<#recordable>>::record(#name))
        });
    let arguments: Vec<TokenStream> = arguments.collect();
    let arguments = if arguments.is_empty() {
        quote!([])
    } else {
        quote!((#(#arguments,)*))
    };
    let call = quote!(#private::task_call(&__FLUX_TASK, #arguments, __flux_start));
    match task
        .args
        .name
        .as_ref()
        .and_then(|name| formatted(name, task, private))
    {
        Some(name) => quote! {
            let __flux_name = #name;
            #call.named(__flux_name)
        },
        None => call,
    }
}

/// The name of one call, if the arguments have a part in it.
fn formatted(name: &Name, task: &Task, private: &TokenStream) -> Option<TokenStream> {
    let mut template = String::new();
    let mut values = Vec::new();
    for part in &name.parts {
        match part {
            Part::Text(text) => template.push_str(&text.replace('{', "{{").replace('}', "}}")),
            Part::Placeholder(wanted) => {
                let param = task
                    .arguments()
                    .find(|param| param.known_as.as_ref() == Some(wanted))?;
                let mut value = param.name.clone();
                value.set_span(Span::mixed_site().located_at(name.literal.span()));
                template.push_str("{}");
                let (ty, display) = (&param.ty, probe(&param.ty, private, "DISPLAY"));
                values.push(quote_spanned! { name.literal.span() => {
                    #private::assert_name_part::<#ty, #display>();
                    <#ty as #private::NamePart<#display>>::name_part(&#value)
                }});
            }
        }
    }
    (!values.is_empty())
        .then(|| quote!(#private::format!(#template, #(#values),*)).to_token_stream())
}
