//! In UTC, and in what both know, `croner` agrees.
//!
//! It is no part of Flux itself, because it fails beyond a day that a zone leaves out, repeats named hours when they are
//! written with a step, takes `*/2` for a restriction of days, and reads signs of other dialects.

use croner::parser::{CronParser, Seconds};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use proptest::prelude::*;

use crate::{at, shown, zone};

fn number(first: u8, last: u8) -> impl Strategy<Value = String> {
    let range = (first..=last, first..=last).prop_map(|(one, other)| {
        let (low, high) = (one.min(other), one.max(other));
        format!("{low}-{high}")
    });
    let value = (first..=last).prop_map(|value| value.to_string());
    let star = Just("*".to_owned());
    prop_oneof![star, range, value]
}

fn expression() -> impl Strategy<Value = String> {
    let month = prop_oneof![
        number(1, 12),
        Just("FEB".to_owned()),
        Just("jan-mar".to_owned())
    ];
    let weekday = prop_oneof![
        number(0, 7),
        Just("MON-FRI".to_owned()),
        Just("sun".to_owned())
    ];
    (number(0, 59), number(0, 23), number(1, 31), month, weekday)
        .prop_map(|(minute, hour, day, month, weekday)| {
            format!("{minute} {hour} {day} {month} {weekday}")
        })
        // A week from Monday to Sunday is all of them, which `croner` takes for no restriction.
        .prop_filter("every day by another name", |text| {
            !text.ends_with("1-7") && !text.ends_with("0-6") && !text.ends_with("0-7")
        })
}

fn by_croner(expression: &str, after: i64) -> Option<i64> {
    let parser = CronParser::builder().seconds(Seconds::Disallowed).build();
    let after = Timestamp::from_microsecond(after).ok()?;
    let cron = parser.parse(expression).ok()?;
    let next = cron.find_next_occurrence(&after.to_zoned(TimeZone::UTC), false);
    next.ok().map(|next| next.timestamp().as_microsecond())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn croner_agrees_in_utc(expression in expression(), minutes in 0_i64..5_000_000) {
        let after = at("2020-01-01T00:00Z") + minutes * 60_000_000;
        let ours = flux_cron::Cron::parse(&expression).ok();
        let ours = ours.and_then(|cron| cron.next_after(after, &zone("UTC")));
        prop_assert_eq!(ours.map(shown), by_croner(&expression, after).map(shown), "{}", expression);
    }
}
