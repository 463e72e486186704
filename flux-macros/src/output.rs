//! What a body returns, as far as its signature shows it.

use proc_macro2::TokenStream;
use quote::{ToTokens, format_ident, quote};
use syn::{GenericArgument, LitStr, PathArguments, PathSegment, ReturnType, Type};

use crate::diag::Diagnostics;
use crate::signature;

/// A return type.
pub(crate) struct Output {
    ty: Type,
    shape: Shape,
}

enum Shape {
    /// `Result<T, E>`.
    Spelled { ok: Box<Type>, error: Box<Type> },
    /// `anyhow::Result<T>`: a `Result` whose alias hides something.
    Aliased,
    /// A tuple, an array, nothing at all: no `Result` whatever names stand for.
    Plain,
    /// A name, which may stand for a `Result`.
    Other,
}

impl Output {
    pub(crate) fn new(output: &ReturnType) -> Self {
        let ty = match output {
            ReturnType::Default => syn::parse_quote!(()),
            ReturnType::Type(_, ty) => Type::clone(ty),
        };
        Self {
            shape: shape(&ty),
            ty,
        }
    }

    /// The type as it is written.
    pub(crate) fn ty(&self) -> &Type {
        &self.ty
    }

    /// The type of the value alone, so that it reads well in signatures where that is possible.
    pub(crate) fn ok(&self, private: &TokenStream) -> TokenStream {
        let ty = &self.ty;
        match &self.shape {
            Shape::Spelled { ok, .. } => ok.to_token_stream(),
            Shape::Plain => ty.to_token_stream(),
            Shape::Aliased => quote!(<#ty as #private::ResultOf>::Ok),
            Shape::Other => {
                let result = probe(ty, private, "RESULT");
                quote!(<#ty as #private::Returns<#result>>::Ok)
            }
        }
    }

    /// The tokens to underline when the value's type is at fault.
    pub(crate) fn ok_tokens(&self) -> TokenStream {
        match &self.shape {
            Shape::Spelled { ok, .. } => ok.to_token_stream(),
            _ => self.ty.to_token_stream(),
        }
    }

    /// The tokens to underline when the error's type is at fault.
    pub(crate) fn error_tokens(&self) -> TokenStream {
        match &self.shape {
            Shape::Spelled { error, .. } => error.to_token_stream(),
            _ => self.ty.to_token_stream(),
        }
    }

    /// Whether it cannot be a `Result`, whatever its names stand for.
    pub(crate) fn is_plain(&self) -> bool {
        matches!(self.shape, Shape::Plain)
    }

    /// `error` names the type of an error, so there has to be one.
    pub(crate) fn has_an_error_to_name(&self, name: Option<&LitStr>, diag: &mut Diagnostics) {
        if let Some(name) = name.filter(|_| self.is_plain()) {
            let returned = self.ty.to_token_stream();
            let message = format!(
                "`error` names the type of an error, and this returns `{returned}`, which is not a `Result`"
            );
            diag.error(name, message);
        }
    }

    /// A value is recorded, so it is owned, and its type has a name.
    pub(crate) fn check(&self, what: &str, diag: &mut Diagnostics) {
        if let Some(token) = signature::find_impl(&self.ty) {
            diag.error(token, format!("{what} cannot return `impl Trait`: its output is recorded, so it has a type with a name"));
        }
        let (value, error) = match &self.shape {
            Shape::Spelled { ok, error } => (ok.to_token_stream(), Some(error)),
            _ => (self.ty.to_token_stream(), None),
        };
        if let Some(reference) = signature::find_reference(&value) {
            diag.error(
                reference,
                format!("{what} returns owned values, not references: its output is recorded and read back; `String`, not `&str`"),
            );
        } else if let Some(lifetime) = signature::find_lifetime(&value) {
            diag.error(
                lifetime,
                format!("{what} returns owned values: its output is recorded and read back"),
            );
        }
        if let Some(lifetime) =
            error.and_then(|error| signature::find_lifetime(&error.to_token_stream()))
        {
            diag.error(
                lifetime,
                format!("an error of {what} outlives its body, so it borrows nothing"),
            );
        }
    }
}

/// Asks whether `ty` meets a requirement: see `flux_core::private::probe`.
pub(crate) fn probe(ty: &impl ToTokens, private: &TokenStream, requirement: &str) -> TokenStream {
    let requirement = format_ident!("FLUX_{requirement}");
    quote!({
        #[allow(unused_imports)]
        use #private::Otherwise as _;
        #private::Probe::<#ty>::#requirement
    })
}

fn shape(ty: &Type) -> Shape {
    match ty {
        Type::Group(group) => shape(&group.elem),
        Type::Paren(paren) => shape(&paren.elem),
        Type::Tuple(_)
        | Type::Array(_)
        | Type::Slice(_)
        | Type::Reference(_)
        | Type::Ptr(_)
        | Type::Never(_) => Shape::Plain,
        Type::Path(path) => path.path.segments.last().map_or(Shape::Other, of_segment),
        _ => Shape::Other,
    }
}

fn of_segment(segment: &PathSegment) -> Shape {
    if segment.ident != "Result" {
        return Shape::Other;
    }
    match &arguments(segment)[..] {
        [ok, error] => Shape::Spelled {
            ok: Box::new(Type::clone(ok)),
            error: Box::new(Type::clone(error)),
        },
        _ => Shape::Aliased,
    }
}

/// The type arguments of a path segment; none if there are others among them.
pub(crate) fn arguments(segment: &PathSegment) -> Vec<&Type> {
    let PathArguments::AngleBracketed(arguments) = &segment.arguments else {
        return Vec::new();
    };
    let types = arguments.args.iter().map(|argument| match argument {
        GenericArgument::Type(ty) => Some(ty),
        _ => None,
    });
    types.collect::<Option<Vec<_>>>().unwrap_or_default()
}
