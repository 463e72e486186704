//! Pieces that both expansions have.

use std::time::Duration;

use proc_macro2::{Ident, Span, TokenStream};
use quote::{format_ident, quote};
use syn::ext::IdentExt;

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
pub(crate) fn describe(private: &TokenStream, retry_if: &TokenStream) -> TokenStream {
    quote! {{
        #[allow(unused_imports)]
        use #private::{
            SeeAnything as _, SeeBoxed as _, SeeDisplay as _, SeeError as _, SeeLocal as _, SeeName as _,
            SeeNoValue as _, SeeValue as _,
        };
        let __flux_see = #private::See(__flux_error);
        #private::body_error(
            __flux_see.flux_type_name(),
            (&&&&&__flux_see).flux_see(),
            (&&__flux_see).flux_json(),
            __flux_see.flux_is_terminal(),
            #retry_if,
        )
    }}
}
