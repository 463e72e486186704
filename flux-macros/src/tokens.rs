//! Pieces that both expansions have.

use std::time::Duration;

use proc_macro2::{Ident, Span, TokenStream};
use quote::quote;

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

/// The lints that are about a signature: the item that users see has them already, or a task cannot help it.
pub(crate) fn body_lints() -> TokenStream {
    quote! {
        #[allow(
            clippy::needless_pass_by_value,
            clippy::too_many_arguments,
            clippy::unnecessary_wraps,
            clippy::unused_async
        )]
    }
}

/// Makes data of `error`, a reference: see `flux_core::private::describe`.
pub(crate) fn describe(private: &TokenStream, retry_if: &TokenStream) -> TokenStream {
    quote! {{
        #[allow(unused_imports)]
        use #private::{
            SeeAnything as _, SeeBoxed as _, SeeDisplay as _, SeeError as _, SeeLocal as _, SeeName as _,
            SeeNoValue as _, SeeValue as _,
        };
        let see = #private::See(error);
        let is_terminal = see.is_terminal();
        #private::body_error(see.type_name(), (&&&&&see).see(), (&&see).json(), is_terminal, #retry_if)
    }}
}
