//! JSON as it is given on a command line.

use std::io::Read;

use serde_json::Value;

use crate::exit::Failure;

/// Reads JSON from the words themselves, from `@file`, or from standard input, `-`.
pub(super) fn read(given: &str, what: &str) -> Result<Value, Failure> {
    let (text, source) = match given.strip_prefix('@') {
        Some(file) => {
            let text = std::fs::read_to_string(file).map_err(|error| {
                Failure::usage(format!("the {what} cannot be read from `{file}`: {error}"))
            })?;
            (text, format!("`{file}`"))
        }
        None if given == "-" => {
            let mut text = String::new();
            std::io::stdin()
                .read_to_string(&mut text)
                .map_err(|error| {
                    Failure::usage(format!(
                        "the {what} cannot be read from standard input: {error}"
                    ))
                })?;
            (text, "standard input".to_owned())
        }
        None => (given.to_owned(), "the command line".to_owned()),
    };
    serde_json::from_str(&text).map_err(|error| {
        Failure::usage(format!("the {what} from {source} is no JSON: {error}"))
            .hint("a text is written with its quotes, '\"like this\"'")
    })
}

/// As [`read`], where nothing given is `null`.
pub(super) fn read_or_null(given: Option<&str>, what: &str) -> Result<Value, Failure> {
    given.map_or(Ok(Value::Null), |given| read(given, what))
}
