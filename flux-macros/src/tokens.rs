//! Pieces that both expansions have.

use std::time::Duration;

use proc_macro2::{Ident, Span, TokenStream};
use quote::{format_ident, quote, quote_spanned};
use syn::LitStr;
use syn::ext::IdentExt;

use crate::output::probe;

/// The name of the function that holds the body; no other name of an expansion ends so.
///
/// Names in expansions begin with `__flux` (`__FLUX`, `__Flux`). Hygiene does not help here: a binding cannot have the name
/// of a `static` that is visible where the attribute stands, and a workflow is a `static` with a name of the user's choice.
pub(crate) fn body_name(ident: &Ident) -> Ident {
    let mut name = format_ident!("__{}_body", ident.unraw());
    name.set_span(ident.span());
    name
}

/// A `Duration`.
pub(crate) fn duration(duration: Duration, private: &TokenStream) -> TokenStream {
    let (seconds, nanoseconds) = (duration.as_secs(), duration.subsec_nanos());
    quote!(#private::Duration::new(#seconds, #nanoseconds))
}

/// A field for a limit of time, if there is one.
pub(crate) fn limit(
    field: &str,
    limit: Option<Duration>,
    private: &TokenStream,
) -> Option<TokenStream> {
    let field = Ident::new(field, Span::call_site());
    let limit = duration(limit?, private);
    Some(quote!(#field: #private::Option::Some(#limit),))
}

/// Makes data of `__flux_error`, a reference: see `flux_core::private::describe`.
pub(crate) fn describe(
    private: &TokenStream,
    name: Option<&LitStr>,
    retry_if: &TokenStream,
) -> TokenStream {
    let name = match name {
        Some(_) => quote!(#private::Option::Some(&__FLUX_ERROR)),
        None => quote!(#private::Option::None),
    };
    quote! {{
        #[allow(unused_imports)]
        use #private::{
            SeeAnything as _, SeeBoxed as _, SeeDisplay as _, SeeError as _, SeeLocal as _, SeeNoValue as _,
            SeeTerminal as _, SeeType as _, SeeValue as _,
        };
        let __flux_see = #private::See(__flux_error);
        #private::body_error(
            __flux_see.flux_type().flux_seen_type(),
            #name,
            (&&&&&__flux_see).flux_see(),
            (&&__flux_see).flux_json(),
            __flux_see.flux_is_terminal(),
            #retry_if,
        )
    }}
}

/// Gives the type of the error a name, if the attribute does.
pub(crate) fn error_name(name: Option<&LitStr>, private: &TokenStream) -> Option<TokenStream> {
    let name = name?;
    let span = name.span();
    let serialize = probe(&quote!(__FluxErr), private, "SERIALIZE");
    let assertions = quote_spanned! { span =>
        #private::assert_fallible::<__FluxReturned, __FLUX_RESULT>();
        #private::assert_nameable::<__FluxErr, { !__FLUX_RESULT || #serialize }>();
    };
    Some(quote! {
        const _: fn() = || { #assertions };
        static __FLUX_ERROR: #private::ErrorName = #private::ErrorName::new(#name, || {
            #[allow(unused_imports)]
            use #private::SeeType as _;
            #private::TypeOf::<__FluxErr>::NEW.flux_seen_type().id()
        });
        #private::inventory::submit! { #private::ErrorEntry(&__FLUX_ERROR) }
    })
}
