//! The expansion of a task's definition: what the engine knows of it.

use proc_macro2::{Ident, TokenStream};
use quote::{quote, quote_spanned};
use syn::ext::IdentExt;
use syn::spanned::Spanned;

use super::args::Name;
use super::expand::unpack;
use super::model::{Param, Task};
use crate::backoff::Backoff;
use crate::tokens;

/// The definition and its registration.
pub(super) fn definition(task: &Task, private: &TokenStream) -> TokenStream {
    let name = task
        .args
        .name
        .as_ref()
        .map_or_else(|| task.ident.unraw().to_string(), Name::recorded);
    let options = options(task, private);
    let needs = task
        .injected()
        .map(|Param { ty, .. }| quote_spanned!(ty.span() => <#ty as #private::Injected>::NEED));
    let fallback = fallback(task, private);
    let rollback = rollback(task, private);
    let error_name = tokens::error_name(task.error_name(), private);
    quote! {
        static __FLUX_TASK: #private::TaskDef = #private::TaskDef {
            name: #name,
            module: ::core::module_path!(),
            options: #options,
            states: &[#(#needs),*],
            start: |__flux_recorded, __flux_states| {
                #private::start_recorded(__flux_recorded, __flux_states, __flux_start)
            },
            fallback: #fallback,
            rollback: #rollback,
            reencode: #private::reencode::<__FluxRecorded>,
        };
        #private::inventory::submit! { #private::TaskEntry(&__FLUX_TASK) }
        #error_name
    }
}

fn options(task: &Task, private: &TokenStream) -> TokenStream {
    let args = &task.args;
    let max_attempts = args
        .max_attempts
        .map(|attempts| quote!(max_attempts: #private::Option::Some(#attempts),));
    let backoff = args.backoff.map(|backoff| {
        let backoff = backoff_tokens(backoff, private);
        quote!(backoff: #private::Option::Some(#backoff),)
    });
    let timeout = tokens::limit("timeout", args.timeout, private);
    let deadline = tokens::limit("deadline", args.deadline, private);
    let at_most_once = args.at_most_once.then(|| quote!(at_most_once: true,));
    quote! {
        #private::TaskOptions {
            #max_attempts
            #backoff
            #timeout
            #deadline
            #at_most_once
            ..#private::TaskOptions::DEFAULT
        }
    }
}

fn backoff_tokens(backoff: Backoff, private: &TokenStream) -> TokenStream {
    match backoff {
        Backoff::Fixed(wait) => {
            let wait = tokens::duration(wait, private);
            quote!(#private::Backoff::Fixed(#wait))
        }
        Backoff::Exponential {
            initial,
            factor,
            max,
        } => {
            let (initial, max) = (
                tokens::duration(initial, private),
                tokens::duration(max, private),
            );
            quote!(#private::Backoff::Exponential { initial: #initial, factor: #factor, max: #max })
        }
    }
}

/// The function that starts the fallback on recorded arguments, decoded once more so that they need no `Clone`.
fn fallback(task: &Task, private: &TokenStream) -> TokenStream {
    let Some(path) = &task.args.fallback else {
        return quote!(#private::Option::None);
    };
    let span = path.span();
    let unpack = unpack(task, private);
    let names = task
        .arguments()
        .map(|param| Ident::new(&param.local.to_string(), span));
    let call = quote_spanned! { span => {
        #[allow(unused_imports)]
        use #private::GivenAtOnce as _;
        #private::Given(#path(#(#names),*)).flux_given().await
    }};
    let value =
        quote_spanned!(span => <_ as #private::IntoResultOf<__FluxOk>>::into_result(__flux_given));
    let describe = tokens::describe(private, task.error_name(), &quote!(true));
    quote! {
        #private::Option::Some(|__flux_recorded, _| {
            let __flux_recorded = #private::decode_args::<__FluxRecorded>(__flux_recorded)?;
            #unpack
            let __flux_body = async move #call;
            #private::Result::Ok(#private::run_async(__flux_body, |__flux_given| match #value {
                #private::Result::Ok(__flux_value) => <__FluxOk as #private::Output<__FLUX_OUTPUT>>::of_task(&__flux_value),
                #private::Result::Err(__flux_error) => {
                    let __flux_error = &__flux_error;
                    #private::Result::Err(#describe)
                }
            }))
        })
    }
}

/// The function that makes the call of the rollback from recorded arguments and, if it is known, recorded output.
fn rollback(task: &Task, private: &TokenStream) -> TokenStream {
    let Some((path, name)) = task
        .args
        .rollback
        .as_ref()
        .and_then(|path| Some((path, path.segments.last()?.ident.unraw().to_string())))
    else {
        return quote!(#private::Option::None);
    };
    let span = path.span();
    let unpack = unpack(task, private);
    let names = task
        .arguments()
        .map(|param| Ident::new(&param.local.to_string(), span));
    let output = Ident::new("__flux_output", span);
    let describe = tokens::describe(private, task.error_name(), &quote!(true));
    let call = quote_spanned! { span =>
        #private::Undo(move || #path(#(#names,)* #output)).flux_into_call(#name, |__flux_given| {
            match #private::Undone(__flux_given).flux_split() {
                #private::Result::Ok(()) => #private::success(&()),
                #private::Result::Err(__flux_error) => {
                    let __flux_error = &__flux_error;
                    #private::Result::Err(#describe)
                }
            }
        })
    };
    quote! {
        #private::Option::Some(|__flux_recorded, __flux_recorded_output| {
            #[allow(unused_imports)]
            use #private::{UndoByFunction as _, UndoneAlways as _};
            let __flux_recorded = #private::decode_args::<__FluxRecorded>(__flux_recorded)?;
            #unpack
            let #output = #private::restore_output::<__FluxOk, __FLUX_OUTPUT>(__flux_recorded_output)?;
            #private::Result::Ok(#call)
        })
    }
}
