//! The task: the function's own tokens, sorted.

use proc_macro2::{Group, Ident, Span};
use quote::format_ident;
use syn::ext::IdentExt;
use syn::{Attribute, FnArg, LitStr, Pat, PatType, Token, Type, Visibility};

use super::args::TaskArgs;
use crate::attributes::Attributes;
use crate::diag::Diagnostics;
use crate::function::Function;
use crate::output::{self, Output};

pub(crate) struct Task {
    pub(crate) args: TaskArgs,
    pub(crate) attrs: Attributes,
    pub(crate) vis: Visibility,
    pub(crate) ident: Ident,
    /// `None` for a blocking task.
    pub(crate) asyncness: Option<Token![async]>,
    pub(crate) params: Vec<Param>,
    pub(crate) output: Output,
    pub(crate) body: Group,
}

/// One parameter.
pub(crate) struct Param {
    pub(crate) attrs: Vec<Attribute>,
    /// As the body sees it.
    pub(crate) pat: Pat,
    pub(crate) ty: Type,
    /// As the function that is called names it.
    pub(crate) name: Ident,
    /// As the rest of the expansion names it, where no name of the user's can be in the way.
    pub(crate) local: Ident,
    /// The name users know it by, for placeholders; none for a pattern.
    pub(crate) known_as: Option<String>,
    /// Whether it is taken from the engine and is no part of the call.
    pub(crate) is_injected: bool,
}

impl Task {
    pub(crate) fn new(function: &Function, args: TaskArgs, diag: &mut Diagnostics) -> Self {
        let typed = function.sig.inputs.iter().filter_map(|input| match input {
            FnArg::Typed(param) => Some(param),
            FnArg::Receiver(_) => None,
        });
        let params = typed
            .enumerate()
            .map(|(i, param)| Param::new(i, param, diag))
            .collect();
        Self {
            args,
            attrs: Attributes::sort(&function.attrs),
            vis: function.vis.clone(),
            ident: function.sig.ident.clone(),
            asyncness: function.sig.asyncness,
            params,
            output: Output::new(&function.sig.output),
            body: function.body.clone(),
        }
    }

    /// What is recorded of a call.
    pub(crate) fn arguments(&self) -> impl Iterator<Item = &Param> {
        self.params.iter().filter(|param| !param.is_injected)
    }

    /// The name of its error's type, if it has an error.
    pub(crate) fn error_name(&self) -> Option<&LitStr> {
        self.args.error.as_ref().filter(|_| !self.output.is_plain())
    }

    pub(crate) fn injected(&self) -> impl Iterator<Item = &Param> {
        self.params.iter().filter(|param| param.is_injected)
    }
}

impl Param {
    fn new(index: usize, param: &PatType, diag: &mut Diagnostics) -> Self {
        if let Some(cfg) = param.attrs.iter().find(|attr| attr.path().is_ident("cfg")) {
            diag.error(
                cfg,
                "a task's arguments are recorded, so they are the same in every build",
            );
        }
        let known_as = match &*param.pat {
            Pat::Ident(pat) if pat.subpat.is_none() && pat.by_ref.is_none() => Some(&pat.ident),
            _ => None,
        };
        Self {
            attrs: param.attrs.clone(),
            pat: Pat::clone(&param.pat),
            ty: Type::clone(&param.ty),
            name: known_as.map_or_else(|| format_ident!("__argument_{index}"), called),
            local: format_ident!("__flux_argument_{index}"),
            known_as: known_as.map(|ident| ident.unraw().to_string()),
            is_injected: is_state(&param.ty),
        }
    }
}

/// The same name, which only the expansion can mean: were it the user's, it would hide functions of that name from
/// `fallback = ..` and `retry_if = ..`.
fn called(ident: &Ident) -> Ident {
    let mut called = ident.clone();
    called.set_span(Span::mixed_site().located_at(ident.span()));
    called
}

/// `State<T>` by its name: what names stand for, a macro cannot see.
fn is_state(ty: &Type) -> bool {
    match ty {
        Type::Group(group) => is_state(&group.elem),
        Type::Paren(paren) => is_state(&paren.elem),
        Type::Path(path) => path.path.segments.last().is_some_and(|segment| {
            segment.ident == "State" && output::arguments(segment).len() == 1
        }),
        _ => false,
    }
}

/// A placeholder in a task's name is one of its arguments.
pub(crate) fn placeholder(argument: &str) -> Result<String, String> {
    let argument = argument.trim();
    if syn::parse_str::<Ident>(argument).is_ok() {
        return Ok(argument.to_owned());
    }
    Err(format!(
        "`{{{argument}}}` is not the name of an argument, such as `{{region}}`"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_placeholder_names_an_argument() {
        assert_eq!(placeholder(" region "), Ok("region".to_owned()));
        for argument in ["", "0", "a:?", "a.b", "self"] {
            assert!(placeholder(argument).is_err(), "{argument}");
        }
    }
}
