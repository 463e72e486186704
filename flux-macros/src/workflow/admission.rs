//! When executions start by themselves, and how many run at once: schedules, queues, limits, locks, tags.

use flux_cron::Spec;
use proc_macro2::{Ident, Span, TokenStream};
use quote::quote;
use syn::LitStr;

use super::args::KEYS;
use crate::attr::Entry;
use crate::diag::Diagnostics;
use crate::template::{self, Part};

/// What the attribute says of it.
#[derive(Default)]
pub(crate) struct Admission {
    /// As `Spec` shows them.
    schedules: Vec<String>,
    queue: Option<String>,
    concurrency: Option<u32>,
    on_conflict: Option<OnConflict>,
    lock: Option<String>,
    tags: Vec<String>,
}

/// The name of a variant of `flux_core::OnConflict`.
type OnConflict = &'static str;

impl Admission {
    /// Takes in one option.
    pub(super) fn set(&mut self, entry: &Entry, diag: &mut Diagnostics) {
        match &*entry.name() {
            "schedule" => add_all(&mut self.schedules, entry, diag, schedule),
            "queue" => self.queue = KEYS.parsed(entry, diag, queue),
            "concurrency" => self.concurrency = concurrency(entry, diag),
            "on_conflict" => self.on_conflict = KEYS.parsed(entry, diag, on_conflict),
            "lock" => self.lock = KEYS.parsed(entry, diag, lock),
            _ => add_all(&mut self.tags, entry, diag, tag),
        }
    }

    /// Whether executions start by themselves, with an input that nobody gives.
    pub(crate) fn is_scheduled(&self) -> bool {
        !self.schedules.is_empty()
    }

    /// The fields of its options.
    pub(crate) fn fields(&self, private: &TokenStream) -> TokenStream {
        let Self {
            schedules, tags, ..
        } = self;
        let queue = some("queue", self.queue.as_deref(), private);
        let concurrency = some("concurrency", self.concurrency, private);
        let lock = some("lock", self.lock.as_deref(), private);
        let on_conflict = self.on_conflict.map(|variant| {
            let variant = Ident::new(variant, Span::call_site());
            quote!(on_conflict: #private::OnConflict::#variant,)
        });
        quote! {
            schedules: &[#(#schedules),*],
            #queue
            #concurrency
            #on_conflict
            #lock
            tags: &[#(#tags),*],
        }
    }
}

fn some(
    field: &str,
    value: Option<impl quote::ToTokens>,
    private: &TokenStream,
) -> Option<TokenStream> {
    let field = Ident::new(field, Span::call_site());
    value.map(|value| quote!(#field: #private::Option::Some(#value),))
}

/// The rules between them.
pub(super) fn check(entries: &[Entry], diag: &mut Diagnostics) {
    let find = |name: &str| entries.iter().find(|entry| entry.name() == name);
    excludes_the_other_limit(find("lock"), find("concurrency"), diag);
    limits_what_it_conflicts_with(find("on_conflict"), find("concurrency"), diag);
}

/// One limit counts per key, the other counts all: together they would say two things.
fn excludes_the_other_limit(
    lock: Option<&Entry>,
    concurrency: Option<&Entry>,
    diag: &mut Diagnostics,
) {
    if let (Some(lock), Some(_)) = (lock, concurrency) {
        let message = "`lock` lets one execution for each key run at a time, and `concurrency` so many of all: \
                       give one of them";
        diag.error(&lock.key, message);
    }
}

/// There is no conflict without a limit.
fn limits_what_it_conflicts_with(
    on_conflict: Option<&Entry>,
    concurrency: Option<&Entry>,
    diag: &mut Diagnostics,
) {
    if let (Some(on_conflict), None) = (on_conflict, concurrency) {
        let message = "`on_conflict` says what becomes of an execution beyond the limit: give that, too, \
                       as in `concurrency = 1`";
        diag.error(&on_conflict.key, message);
    }
}

/// Adds the texts that `read` understands, each once.
fn add_all(
    all: &mut Vec<String>,
    entry: &Entry,
    diag: &mut Diagnostics,
    read: fn(&str) -> Result<String, String>,
) {
    for text in KEYS.strings(entry, diag) {
        match read(&text.value()) {
            Ok(value) if all.contains(&value) => given_twice(&text, &value, diag),
            Ok(value) => all.push(value),
            Err(error) => diag.error(&text, error),
        }
    }
}

fn given_twice(text: &LitStr, value: &str, diag: &mut Diagnostics) {
    diag.error(text, format!("`{value}` is given twice"));
}

fn schedule(text: &str) -> Result<String, String> {
    match Spec::parse(text) {
        Ok(spec) => Ok(spec.to_string()),
        Err(error) => Err(error.to_string()),
    }
}

fn queue(text: &str) -> Result<String, String> {
    if text.contains(['{', '}']) {
        return Err(
            "a queue's name has no placeholders: workers name the queues that they serve"
                .to_owned(),
        );
    }
    name("queue", text)
}

fn tag(text: &str) -> Result<String, String> {
    name("tag", text)
}

fn name(what: &str, text: &str) -> Result<String, String> {
    if text.trim().is_empty() {
        return Err(format!("a {what}'s name cannot be empty"));
    }
    if text != text.trim() {
        return Err(format!("a {what}'s name has no space around it"));
    }
    Ok(text.to_owned())
}

fn concurrency(entry: &Entry, diag: &mut Diagnostics) -> Option<u32> {
    let limit = KEYS.number(entry, diag)?;
    if limit == 0 {
        let message = "`concurrency` is how many executions run at once, so it is at least 1; \
                       for no limit leave it out";
        diag.error(entry.value(), message);
        return None;
    }
    Some(limit)
}

fn on_conflict(text: &str) -> Result<OnConflict, String> {
    match text {
        "reject" => Ok("Reject"),
        "queue" => Ok("Queue"),
        "skip" => Ok("Skip"),
        "terminate" => Ok("Terminate"),
        other => Err(format!(
            "`{other}` is no way out of a conflict: \"reject\" makes the start an error, \"queue\" lets it wait, \
             \"skip\" starts nothing, \"terminate\" ends the one that runs"
        )),
    }
}

/// A key with placeholders. It is kept as it stands: what they stand for is in the input.
fn lock(text: &str) -> Result<String, String> {
    if text.trim().is_empty() {
        return Err("a lock's key cannot be empty; one for all executions is any text".to_owned());
    }
    let _: Vec<Part> = template::split(text, input_field)?;
    Ok(text.to_owned())
}

/// A path of fields as serde names them, or nothing for the whole input.
fn input_field(path: &str) -> Result<String, String> {
    let is_name = |name: &str| {
        let fits = |c: char| c.is_alphanumeric() || c == '_' || c == '-';
        !name.is_empty() && name.chars().all(fits)
    };
    let path = path.trim();
    if path.is_empty() || path.split('.').all(is_name) {
        return Ok(path.to_owned());
    }
    Err(format!(
        "`{{{path}}}` is not a field of the input, such as `{{id}}` or `{{customer.id}}`; `{{}}` is all of it"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lock_names_fields_of_the_input() {
        for key in [
            "user:{id}",
            "{}",
            "{a.b}-{c.0}",
            "{ user-id }",
            "all",
            "{{}}",
        ] {
            assert_eq!(lock(key), Ok(key.to_owned()));
        }
        for key in [
            "", " ", "{", "user:}", "{a.}", "{.a}", "{a b}", "{a:?}", "{a[0]}",
        ] {
            assert!(lock(key).is_err(), "{key}");
        }
    }
}
