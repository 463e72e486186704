//! The digest of JSON by which calls are matched: equal for texts that differ in the order of keys and in white space alone,
//! and it reads whatever lies in a file without a panic.

#![no_main]

use libfuzzer_sys::fuzz_target;
use serde_json::Value;

#[path = "../../flux-core/src/digest.rs"]
mod digest;
#[path = "../../flux-core/src/hash.rs"]
mod hash;

use digest::digest;

fuzz_target!(|texts: (&str, &str)| {
    let (one, other) = texts;
    // A damaged file may hold anything.
    let _ = digest(one);
    let Ok(value) = serde_json::from_str::<Value>(one) else {
        return;
    };
    let text = value.to_string();
    assert_eq!(
        digest(&text),
        digest(&reversed(&value)),
        "the order of keys: {text}"
    );
    let pretty = serde_json::to_string_pretty(&value).unwrap();
    assert_eq!(digest(&text), digest(&pretty), "white space: {text}");
    let Ok(other) = serde_json::from_str::<Value>(other) else {
        return;
    };
    let other = other.to_string();
    assert_eq!(
        digest(&text) == digest(&other),
        text == other,
        "{text} and {other}"
    );
});

/// The text of a value, with the keys of each object from last to first.
fn reversed(value: &Value) -> String {
    match value {
        Value::Array(items) => {
            let items: Vec<String> = items.iter().map(reversed).collect();
            format!("[{}]", items.join(","))
        }
        Value::Object(entries) => {
            let entry = |(key, value)| format!("{}:{}", Value::from(key), reversed(value));
            let entries = entries.iter().rev();
            let entries: Vec<String> = entries
                .map(|(key, value)| entry((key.as_str(), value)))
                .collect();
            format!("{{{}}}", entries.join(","))
        }
        scalar => scalar.to_string(),
    }
}
