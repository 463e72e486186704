//! What stands in an attribute's parentheses: `key = value`, `key(..)` and bare `key`s.

use std::time::Duration;

use proc_macro2::{Ident, TokenStream, TokenTree};
use quote::ToTokens;
use syn::ext::IdentExt;
use syn::parse::{ParseStream, Parser};
use syn::punctuated::Punctuated;
use syn::{Expr, ExprLit, Lit, LitInt, LitStr, Path, Token};

use crate::diag::Diagnostics;
use crate::nearest::nearest;
use flux_cron::duration;

/// One option.
pub(crate) struct Entry {
    pub(crate) key: Ident,
    value: Value,
}

enum Value {
    None,
    Assigned(Expr),
    List(TokenStream),
}

/// The options an attribute knows.
pub(crate) struct Keys {
    /// The attribute: `task`.
    pub(crate) attribute: &'static str,
    /// Each option with an example of its use.
    pub(crate) known: &'static [(&'static str, &'static str)],
    /// Those that are planned.
    pub(crate) later: &'static [&'static str],
    /// What others call an option, and what it is called here.
    pub(crate) others: &'static [(&'static str, &'static str)],
    /// Those that may be given more than once.
    pub(crate) repeated: &'static [&'static str],
}

impl Keys {
    /// Reads the options: each known, none twice that may not. What is wrong is noted and left out.
    pub(crate) fn read(&self, tokens: TokenStream, diag: &mut Diagnostics) -> Vec<Entry> {
        let mut entries: Vec<Entry> = Vec::new();
        for entry in split(tokens, diag) {
            let name = entry.name();
            if !self.knows(&name) {
                diag.error(&entry.key, self.explain_unknown(&name));
            } else if !self.repeated.contains(&&*name)
                && entries.iter().any(|earlier| earlier.name() == name)
            {
                diag.error(&entry.key, format!("`{name}` is given twice"));
            } else {
                entries.push(entry);
            }
        }
        entries
    }

    fn knows(&self, name: &str) -> bool {
        self.known.iter().any(|(known, _)| *known == name)
    }

    fn explain_unknown(&self, name: &str) -> String {
        let attribute = self.attribute;
        if self.later.contains(&name) {
            return format!("`{name}` is not available yet in this version of Flux");
        }
        if let Some(meant) = self.meant(name) {
            return format!("`#[{attribute}]` has no option `{name}`; did you mean `{meant}`?");
        }
        let known: Vec<String> = self
            .known
            .iter()
            .map(|(known, _)| format!("`{known}`"))
            .collect();
        format!(
            "`#[{attribute}]` has no option `{name}`; it has {}",
            known.join(", ")
        )
    }

    fn meant(&self, name: &str) -> Option<&'static str> {
        let alias = self
            .others
            .iter()
            .find(|(other, _)| *other == name)
            .map(|&(_, meant)| meant);
        alias.or_else(|| nearest(name, self.known.iter().map(|&(known, _)| known)))
    }

    fn example(&self, name: &str) -> &'static str {
        self.known
            .iter()
            .find(|(known, _)| *known == name)
            .map_or("", |&(_, example)| example)
    }

    /// A string.
    pub(crate) fn string(&self, entry: &Entry, diag: &mut Diagnostics) -> Option<LitStr> {
        match entry.literal() {
            Some(Lit::Str(text)) => Some(text.clone()),
            _ => self.misused(entry, diag),
        }
    }

    /// The name of an error type.
    pub(crate) fn error_name(&self, entry: &Entry, diag: &mut Diagnostics) -> Option<LitStr> {
        let name = self.string(entry, diag)?;
        if name.value().trim().is_empty() {
            let message = "the name of an error cannot be empty; without `error` its JSON alone tells its type";
            diag.error(&name, message);
            return None;
        }
        Some(name)
    }

    /// One string or several: `key = ".."`, `key = ["..", ".."]`, `key("..", "..")`.
    pub(crate) fn strings(&self, entry: &Entry, diag: &mut Diagnostics) -> Vec<LitStr> {
        let items = entry.items().unwrap_or_default();
        let texts: Option<Vec<LitStr>> = items.iter().map(text).collect();
        match texts {
            Some(texts) if !texts.is_empty() => texts,
            _ => self.misused(entry, diag).unwrap_or_default(),
        }
    }

    /// A string that `parse` understands; its error stands on the literal.
    pub(crate) fn parsed<T>(
        &self,
        entry: &Entry,
        diag: &mut Diagnostics,
        parse: impl FnOnce(&str) -> Result<T, String>,
    ) -> Option<T> {
        let text = self.string(entry, diag)?;
        parse(&text.value())
            .map_err(|error| diag.error(&text, error))
            .ok()
    }

    /// A limit of time; `"never"` is none.
    pub(crate) fn limit(&self, entry: &Entry, diag: &mut Diagnostics) -> Option<Duration> {
        if let Some(Lit::Int(number)) = entry.literal() {
            diag.error(
                number,
                format!("`{number}` has no quotes or no unit; {}", duration::HOW),
            );
            return None;
        }
        let limit = self.parsed(entry, diag, |text| match text.trim() {
            "never" => Ok(None),
            text => match duration::parse(text)? {
                limit if limit.is_zero() => Err(format!(
                    "a `{}` of zero would end everything at once; for no limit leave it out or write \"never\"",
                    entry.name()
                )),
                limit => Ok(Some(limit)),
            },
        });
        limit.flatten()
    }

    /// A number of attempts, at least 1, or `"unlimited"`, which is `u32::MAX`.
    pub(crate) fn attempts(&self, entry: &Entry, diag: &mut Diagnostics) -> Option<u32> {
        match entry.literal() {
            Some(Lit::Str(text)) if text.value() == "unlimited" => Some(u32::MAX),
            Some(Lit::Str(text)) => {
                diag.error(
                    text,
                    "attempts are a number of at least 1, or \"unlimited\"",
                );
                None
            }
            _ => match self.number(entry, diag)? {
                0 => {
                    let message = "`max_attempts` counts the first try too, so it is at least 1: \
                                   `max_attempts = 1` is a single try";
                    diag.error(entry.value(), message);
                    None
                }
                u32::MAX => {
                    diag.error(
                        entry.value(),
                        "for no limit write `max_attempts = \"unlimited\"`",
                    );
                    None
                }
                number => Some(number),
            },
        }
    }

    /// A whole number that is not negative.
    pub(crate) fn number(&self, entry: &Entry, diag: &mut Diagnostics) -> Option<u32> {
        match entry.literal() {
            Some(Lit::Int(number)) => read_number(number, diag),
            _ => self.misused(entry, diag),
        }
    }

    /// A path.
    pub(crate) fn path(&self, entry: &Entry, diag: &mut Diagnostics) -> Option<Path> {
        match entry.assigned() {
            Some(Expr::Path(path)) if path.qself.is_none() => Some(path.path.clone()),
            _ => self.misused(entry, diag),
        }
    }

    /// Notes that the value is not of the right sort.
    pub(crate) fn misused<T>(&self, entry: &Entry, diag: &mut Diagnostics) -> Option<T> {
        let name = entry.name();
        diag.error(
            entry.value(),
            format!("`{name}` is written as `{}`", self.example(&name)),
        );
        None
    }
}

/// Reads a whole number that is not negative.
pub(crate) fn read_number(number: &LitInt, diag: &mut Diagnostics) -> Option<u32> {
    let read = number.base10_parse::<u32>().ok();
    if read.is_none() {
        let message = format!("`{number}` is not a number from 0 to {}", u32::MAX);
        diag.error(number, message);
    }
    read
}

impl Entry {
    pub(crate) fn name(&self) -> String {
        self.key.unraw().to_string()
    }

    /// Whether the key alone says it, as it should.
    pub(crate) fn is_flag(&self, diag: &mut Diagnostics) -> bool {
        if matches!(self.value, Value::None) {
            return true;
        }
        diag.error(self.value(), format!("`{}` takes no value", self.name()));
        false
    }

    /// The tokens to underline when the value is wrong: the value, or else the key.
    pub(crate) fn value(&self) -> TokenStream {
        match &self.value {
            Value::Assigned(expr) => expr.to_token_stream(),
            Value::List(tokens) if !tokens.is_empty() => tokens.clone(),
            Value::List(_) | Value::None => self.key.to_token_stream(),
        }
    }

    pub(crate) fn assigned(&self) -> Option<&Expr> {
        match &self.value {
            Value::Assigned(expr) => Some(ungrouped(expr)),
            _ => None,
        }
    }

    fn literal(&self) -> Option<&Lit> {
        literal(self.assigned()?)
    }

    /// What stands in its array or its parentheses, or its only value.
    fn items(&self) -> Option<Vec<Expr>> {
        match &self.value {
            Value::None => None,
            Value::List(tokens) => {
                let parser = Punctuated::<Expr, Token![,]>::parse_terminated;
                Some(parser.parse2(tokens.clone()).ok()?.into_iter().collect())
            }
            Value::Assigned(expr) => match ungrouped(expr) {
                Expr::Array(array) => Some(array.elems.iter().cloned().collect()),
                expr => Some(vec![expr.clone()]),
            },
        }
    }
}

fn literal(expr: &Expr) -> Option<&Lit> {
    match expr {
        Expr::Lit(ExprLit { lit, .. }) => Some(lit),
        _ => None,
    }
}

fn text(expr: &Expr) -> Option<LitStr> {
    match literal(ungrouped(expr))? {
        Lit::Str(text) => Some(text.clone()),
        _ => None,
    }
}

/// The expression without the invisible groups that `macro_rules!` puts around what it passes on.
pub(crate) fn ungrouped(expr: &Expr) -> &Expr {
    match expr {
        Expr::Group(group) => ungrouped(&group.expr),
        expr => expr,
    }
}

/// Splits at commas. After an option that cannot be read it goes on behind the next comma.
fn split(tokens: TokenStream, diag: &mut Diagnostics) -> Vec<Entry> {
    let mut entries = Vec::new();
    let parser = |input: ParseStream<'_>| {
        while !input.is_empty() {
            match entry(input) {
                Ok(entry) => entries.push(entry),
                Err(error) => {
                    diag.absorb(error);
                    skip_to_comma(input)?;
                }
            }
            if !input.is_empty() {
                input.parse::<Token![,]>()?;
            }
        }
        Ok(())
    };
    if let Err(error) = parser.parse2(tokens) {
        diag.absorb(error);
    }
    entries
}

fn entry(input: ParseStream<'_>) -> syn::Result<Entry> {
    let key = Ident::parse_any(input).map_err(|error| {
        syn::Error::new(error.span(), "expected an option, such as `name = \"..\"`")
    })?;
    let value = if input.peek(Token![=]) {
        input.parse::<Token![=]>()?;
        Value::Assigned(input.parse()?)
    } else if input.peek(syn::token::Paren) {
        let inside;
        syn::parenthesized!(inside in input);
        Value::List(inside.parse()?)
    } else {
        Value::None
    };
    if !input.is_empty() && !input.peek(Token![,]) {
        return Err(input.error("expected `,` before the next option"));
    }
    Ok(Entry { key, value })
}

fn skip_to_comma(input: ParseStream<'_>) -> syn::Result<()> {
    while !input.is_empty() && !input.peek(Token![,]) {
        input.parse::<TokenTree>()?;
    }
    Ok(())
}
