//! Schedules and durations as text: what can be read is shown in a form that reads as the same, and its moments go forward.

#![no_main]

use flux_cron::{Spec, duration};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: (&str, i64)| {
    let (text, from) = input;
    if let Err(error) = duration::parse(text) {
        assert!(!error.is_empty());
    }
    let spec = match Spec::parse(text) {
        Ok(spec) => spec,
        Err(error) => return assert!(!error.to_string().is_empty()),
    };
    let shown = spec.to_string();
    let again = Spec::parse(&shown).unwrap_or_else(|error| panic!("`{shown}`: {error}"));
    assert_eq!(again.to_string(), shown);
    let mut before = from;
    for _ in 0..3 {
        let next = spec.next_after(before);
        assert_eq!(
            next,
            again.next_after(before),
            "`{text}` and `{shown}` after {before}"
        );
        let Some(next) = next else { return };
        assert!(next > before, "`{text}`: {next} after {before}");
        assert!(spec.matches(next), "`{text}` does not match {next}");
        assert_eq!(
            spec.last_within(before, next),
            Some(next),
            "`{text}` up to {next}"
        );
        before = next;
    }
});
