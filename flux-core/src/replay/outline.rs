//! Values in errors: what differs and where, without the values themselves. An error is logged, shown to operators and
//! sent to clients; what was recorded may be an address.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use serde_json::Value;

use crate::digest::digest;
use crate::payload::Payload;

/// Two values whose outlines are no longer than this are shown whole.
const SHORT: usize = 60;

/// The longest outline of one value.
const LONGEST: usize = 80;

/// Of more places at which two values differ than this, the rest is counted.
const PLACES: usize = 3;

/// The longest number and the longest key that are shown.
const LONGEST_NUMBER: usize = 9;
const LONGEST_KEY: usize = 32;

/// The shape of a value: small numbers as they are, of texts the length and a digest, by which equal ones are known.
pub(crate) fn outline(payload: &Payload) -> String {
    match payload.decode() {
        Ok(value) => cut(&of_value(&value)),
        Err(_) => format!("<{} bytes that are not JSON>", payload.size()),
    }
}

/// Both of two values where they differ: whole where they are short, else by JSON path.
pub(crate) fn differing(one: &Payload, other: &Payload) -> (String, String) {
    let whole = (outline(one), outline(other));
    let are_short = [&whole.0, &whole.1]
        .iter()
        .all(|outline| outline.chars().count() <= SHORT);
    let (Ok(one), Ok(other)) = (one.decode(), other.decode()) else {
        return whole;
    };
    let mut places = Vec::new();
    find(&one, &other, &mut String::new(), &mut places);
    // Where they differ as a whole, or in nothing that JSON tells, the paths say no more.
    let is_whole = places.is_empty() || places.iter().any(|place| place.path.is_empty());
    if are_short || is_whole {
        return whole;
    }
    (
        list(&places, |place| place.one.as_deref()),
        list(&places, |place| place.other.as_deref()),
    )
}

/// A place at which two values differ, and the outline of what each has there.
struct Place {
    path: String,
    one: Option<String>,
    other: Option<String>,
}

fn find(one: &Value, other: &Value, path: &mut String, places: &mut Vec<Place>) {
    match (one, other) {
        (Value::Object(one), Value::Object(other)) => {
            let keys: BTreeSet<&String> = one.keys().chain(other.keys()).collect();
            for key in keys {
                let dot = if path.is_empty() { "" } else { "." };
                let step = format!("{dot}{}", key_of(key));
                at(one.get(key), other.get(key), &step, path, places);
            }
        }
        (Value::Array(one), Value::Array(other)) => {
            for index in 0..one.len().max(other.len()) {
                let step = format!("[{index}]");
                at(one.get(index), other.get(index), &step, path, places);
            }
        }
        (one, other) if one == other => {}
        (one, other) => places.push(Place::new(path, Some(one), Some(other))),
    }
}

fn at(
    one: Option<&Value>,
    other: Option<&Value>,
    step: &str,
    path: &mut String,
    places: &mut Vec<Place>,
) {
    let length = path.len();
    path.push_str(step);
    match (one, other) {
        (Some(one), Some(other)) => find(one, other, path, places),
        (one, other) => places.push(Place::new(path, one, other)),
    }
    path.truncate(length);
}

impl Place {
    fn new(path: &str, one: Option<&Value>, other: Option<&Value>) -> Self {
        let outline = |value: &Value| cut(&of_value(value));
        Self {
            path: path.to_owned(),
            one: one.map(outline),
            other: other.map(outline),
        }
    }
}

fn list<'a>(places: &'a [Place], side: impl Fn(&'a Place) -> Option<&'a str>) -> String {
    let mut text = String::new();
    for place in places.iter().take(PLACES) {
        let comma = if text.is_empty() { "" } else { ", " };
        let has = side(place).unwrap_or("nothing");
        let _ = write!(text, "{comma}{}: {has}", place.path);
    }
    if let Some(more) = places.len().checked_sub(PLACES).filter(|more| *more > 0) {
        let _ = write!(text, ", and {more} more");
    }
    text
}

fn of_value(value: &Value) -> String {
    match value {
        Value::Null | Value::Bool(_) => value.to_string(),
        Value::Number(number) => {
            let number = number.to_string();
            match number.len() {
                ..=LONGEST_NUMBER => number,
                digits => format!("<{digits} digits, {}>", mark(&number)),
            }
        }
        Value::String(text) => {
            let count = text.chars().count();
            let plural = if count == 1 { "" } else { "s" };
            format!("<{count} character{plural}, {}>", mark(&value.to_string()))
        }
        Value::Array(items) => format!("[{}]", join(items.iter().map(of_value))),
        Value::Object(fields) => {
            let field =
                |(key, value): (&String, &Value)| format!("{}: {}", key_of(key), of_value(value));
            format!("{{{}}}", join(fields.iter().map(field)))
        }
    }
}

/// Joins no more than can be shown.
fn join(items: impl Iterator<Item = String>) -> String {
    let mut text = String::new();
    for item in items {
        if text.len() > LONGEST {
            text.push_str(", …");
            break;
        }
        let comma = if text.is_empty() { "" } else { ", " };
        let _ = write!(text, "{comma}{item}");
    }
    text
}

fn key_of(key: &str) -> String {
    match key.char_indices().nth(LONGEST_KEY) {
        Some((end, _)) => format!("{}…", &key[..end]),
        None => key.to_owned(),
    }
}

/// The beginning of a digest.
fn mark(json: &str) -> String {
    format!("#{:06x}", (digest(json) >> 96) & 0xff_ffff)
}

fn cut(text: &str) -> String {
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

/// What `serde` says of a value of the wrong type, without the value where it is a text.
pub(crate) fn without_text(message: &str) -> String {
    const QUOTED: &str = "string \"";
    const EXPECTED: &str = "\", expected";
    match (message.find(QUOTED), message.rfind(EXPECTED)) {
        (Some(from), Some(to)) if from + QUOTED.len() <= to => {
            format!("{}a text{}", &message[..from], &message[to + 1..])
        }
        _ => message.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn payload(value: &Value) -> Payload {
        Payload::encode(value).unwrap()
    }

    #[test]
    fn texts_and_long_numbers_are_not_shown() {
        let value =
            json!({"name": "Ada", "card": 4_111_111_111_111_111_u64, "cents": 450, "gift": true});
        let outline = outline(&payload(&value));
        assert!(outline.contains("cents: 450, gift: true"), "{outline}");
        assert!(outline.contains("<3 characters, #"), "{outline}");
        assert!(outline.contains("<16 digits, #"), "{outline}");
        assert!(
            !outline.contains("Ada") && !outline.contains("4111"),
            "{outline}"
        );
    }

    #[test]
    fn what_serde_says_keeps_no_text() {
        let says = |value: &Value| {
            let error = payload(value).decode::<u32>().unwrap_err();
            without_text(&error.message)
        };
        let text = says(&json!("12 \"Main\", expected Street"));
        assert!(
            text.starts_with("invalid type: a text, expected u32"),
            "{text}"
        );
        let number = says(&json!(-1));
        assert!(number.contains("integer `-1`"), "{number}");
    }

    #[test]
    fn equal_texts_have_equal_marks() {
        let outline = |text| outline(&payload(&json!(text)));
        assert_eq!(outline("Ada"), outline("Ada"));
        assert_ne!(outline("Ada"), outline("Bob"));
    }

    #[test]
    fn short_values_are_shown_whole_and_long_ones_by_path() {
        let (one, other) = differing(&payload(&json!([1])), &payload(&json!([2])));
        assert_eq!((&*one, &*other), ("[1]", "[2]"));
        let long = |zip: u32, note: Option<&str>| {
            let mut value = json!({
                "order": {"street": "12 Main Street", "city": "Springfield", "zip": zip},
                "items": ["tea", "lamp", "desk", "chair"],
            });
            if let Some(note) = note {
                value["note"] = json!(note);
            }
            payload(&value)
        };
        let (one, other) = differing(&long(11, Some("ring twice")), &long(12, None));
        assert!(one.starts_with("note: <10 characters, #"), "{one}");
        assert!(one.ends_with(">, order.zip: 11"), "{one}");
        assert_eq!(other, "note: nothing, order.zip: 12");
    }

    #[test]
    fn nothing_grows_without_end() {
        let many = |n: u32| payload(&json!((0..1000).map(|i| json!([i, n])).collect::<Vec<_>>()));
        let (one, other) = differing(&many(1), &many(2));
        for text in [outline(&many(1)), one.clone(), other] {
            assert!(text.chars().count() < 3 * 2 * LONGEST, "{text}");
        }
        assert_eq!(one, "[0][1]: 1, [1][1]: 1, [2][1]: 1, and 997 more");
        let long_key = payload(&json!({"k".repeat(500): "v".repeat(500)}));
        assert!(outline(&long_key).chars().count() <= LONGEST + 1);
    }
}
