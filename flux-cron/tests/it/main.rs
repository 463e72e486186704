//! When schedules fire.

#![expect(clippy::unwrap_used, reason = "a test")]

use flux_cron::{Cron, Spec, Zone};
use jiff::Timestamp;

mod at_11;
mod changed_clocks;
mod properties;
mod second_opinion;

/// The moment that `text` names, as in `2024-01-01T00:00Z`.
fn at(text: &str) -> i64 {
    text.parse::<Timestamp>().unwrap().as_microsecond()
}

fn shown(micros: i64) -> String {
    Timestamp::from_microsecond(micros).unwrap().to_string()
}

fn cron(text: &str) -> Cron {
    Cron::parse(text).unwrap_or_else(|error| panic!("{error}"))
}

fn zone(name: &str) -> Zone {
    Zone::parse(name).unwrap_or_else(|error| panic!("{error}"))
}

/// Asserts that `spec` fires at exactly these moments between `after` and the last of them.
#[track_caller]
fn check(spec: &str, after: &str, expected: &[&str]) {
    let spec = Spec::parse(spec).unwrap_or_else(|error| panic!("{error}"));
    let fires: Vec<String> = spec
        .upcoming(at(after))
        .take(expected.len())
        .map(shown)
        .collect();
    let expected: Vec<String> = expected.iter().map(|text| shown(at(text))).collect();
    assert_eq!(fires, expected, "{spec} after {after}");
}
