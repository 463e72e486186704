//! What the attribute says.

use std::time::Duration;

use proc_macro2::{Ident, TokenStream};
use syn::{Expr, LitStr, Path};

use crate::attr::{Entry, Keys};
use crate::backoff::{self, Backoff};
use crate::diag::Diagnostics;
use crate::path::Facade;
use crate::template::{self, Part};

use super::model;

const KEYS: Keys = Keys {
    attribute: "task",
    known: &[
        ("name", "name = \"..\""),
        (
            "max_attempts",
            "max_attempts = 3` or `max_attempts = \"unlimited\"",
        ),
        ("retries", "retries = 2"),
        (
            "backoff",
            "backoff = \"exponential(100ms, 2.0, max = 30s)\"",
        ),
        ("retry_if", "retry_if = path"),
        ("error", "error = \"payments.declined\""),
        ("timeout", "timeout = \"30s\""),
        ("deadline", "deadline = \"5m\""),
        ("fallback", "fallback = path"),
        ("rollback", "rollback = path"),
        ("at_most_once", "at_most_once"),
        ("blocking", "blocking"),
        ("crate", "crate = flux"),
    ],
    later: &["cache", "secrets", "sensitive"],
    others: &[
        ("retry", "max_attempts"),
        ("attempts", "max_attempts"),
        ("max_retries", "retries"),
        ("retry_max_attempts", "retries"),
        ("retry_backoff", "backoff"),
        ("retry_delay", "backoff"),
        ("delay", "backoff"),
        ("compensate", "rollback"),
        ("spawn_blocking", "blocking"),
    ],
    repeated: &[],
};

/// The options, as far as they can be read.
#[derive(Default)]
pub(crate) struct TaskArgs {
    pub(crate) name: Option<Name>,
    pub(crate) max_attempts: Option<u32>,
    pub(crate) backoff: Option<Backoff>,
    pub(crate) retry_if: Option<Expr>,
    pub(crate) error: Option<LitStr>,
    pub(crate) timeout: Option<Duration>,
    pub(crate) deadline: Option<Duration>,
    pub(crate) fallback: Option<Path>,
    pub(crate) rollback: Option<Path>,
    pub(crate) at_most_once: bool,
    pub(crate) blocking: Option<Ident>,
    pub(crate) facade: Facade,
    renamed: Option<Path>,
}

/// A name, perhaps with placeholders.
pub(crate) struct Name {
    pub(crate) literal: LitStr,
    pub(crate) parts: Vec<Part>,
}

impl Name {
    /// The name in the definition: with placeholders it is the template.
    pub(crate) fn recorded(&self) -> String {
        match &self.parts[..] {
            [Part::Text(text)] => text.clone(),
            _ => self.literal.value(),
        }
    }
}

impl TaskArgs {
    pub(crate) fn read(tokens: TokenStream, diag: &mut Diagnostics) -> Self {
        let mut args = Self::default();
        let entries = KEYS.read(tokens, diag);
        for entry in &entries {
            args.set(entry, diag);
        }
        says_attempts_once(&entries, diag);
        args.facade = Facade::new(args.renamed.take());
        args
    }

    fn set(&mut self, entry: &Entry, diag: &mut Diagnostics) {
        match &*entry.name() {
            "name" => self.name = name(entry, diag),
            "max_attempts" => self.max_attempts = KEYS.attempts(entry, diag),
            "retries" => self.max_attempts = retries(entry, diag),
            "backoff" => self.backoff = KEYS.parsed(entry, diag, backoff::parse),
            "retry_if" => self.retry_if = retry_if(entry, diag),
            "error" => self.error = KEYS.error_name(entry, diag),
            "timeout" => self.timeout = KEYS.limit(entry, diag),
            "deadline" => self.deadline = KEYS.limit(entry, diag),
            "fallback" => self.fallback = KEYS.path(entry, diag),
            "rollback" => self.rollback = KEYS.path(entry, diag),
            "at_most_once" => self.at_most_once = entry.is_flag(diag),
            "blocking" => self.blocking = entry.is_flag(diag).then(|| entry.key.clone()),
            _ => self.renamed = KEYS.path(entry, diag),
        }
    }
}

/// `max_attempts` and `retries` say the same thing.
fn says_attempts_once(entries: &[Entry], diag: &mut Diagnostics) {
    let find = |name: &str| entries.iter().find(|entry| entry.name() == name);
    if let (Some(_), Some(retries)) = (find("max_attempts"), find("retries")) {
        let message =
            "`retries = n` is another way to say `max_attempts = n + 1`: give one of them";
        diag.error(&retries.key, message);
    }
}

fn retries(entry: &Entry, diag: &mut Diagnostics) -> Option<u32> {
    match KEYS.number(entry, diag)? {
        number if number < u32::MAX - 1 => Some(number + 1),
        _ => {
            diag.error(
                entry.value(),
                "for no limit write `max_attempts = \"unlimited\"`",
            );
            None
        }
    }
}

fn retry_if(entry: &Entry, diag: &mut Diagnostics) -> Option<Expr> {
    match entry.assigned() {
        Some(expr @ (Expr::Path(_) | Expr::Closure(_))) => Some(expr.clone()),
        Some(_) => {
            diag.error(
                entry.value(),
                "`retry_if` takes a function or a closure from `&E` to `bool`",
            );
            None
        }
        None => KEYS.misused(entry, diag),
    }
}

fn name(entry: &Entry, diag: &mut Diagnostics) -> Option<Name> {
    let literal = KEYS.string(entry, diag)?;
    if literal.value().trim().is_empty() {
        diag.error(
            &literal,
            "a task's name cannot be empty; without `name` it is the function's",
        );
        return None;
    }
    match template::split(&literal.value(), model::placeholder) {
        Ok(parts) => Some(Name { literal, parts }),
        Err(message) => {
            diag.error(&literal, message);
            None
        }
    }
}
