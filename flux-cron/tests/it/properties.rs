//! What holds for every expression: it fires where a clock that is looked at every minute says so.

use std::collections::BTreeSet;

use flux_cron::{Cron, Spec, Zone};
use jiff::civil::DateTime;
use jiff::tz::{TimeZone, TimeZoneDatabase};
use jiff::{Timestamp, ToSpan};
use proptest::prelude::*;

use crate::{at, cron, shown, zone};

const MINUTE: i64 = 60_000_000;
const DAY: i64 = 24 * 60 * MINUTE;

/// A zone, and a moment near which its clocks are changed.
const CHANGES: &[(&str, &str)] = &[
    ("UTC", "2024-02-29T00:00Z"),
    ("America/New_York", "2024-03-10T07:00Z"),
    ("America/New_York", "2024-11-03T06:00Z"),
    ("America/New_York", "2051-11-05T06:00Z"),
    ("Europe/Berlin", "2024-10-27T01:00Z"),
    ("America/Sao_Paulo", "2018-11-04T03:00Z"),
    ("America/Sao_Paulo", "2018-02-18T02:00Z"),
    ("Australia/Lord_Howe", "2024-10-05T15:30Z"),
    ("Australia/Lord_Howe", "2024-04-06T15:00Z"),
    ("Pacific/Apia", "2011-12-30T10:00Z"),
    ("Africa/Cairo", "2024-04-25T22:00Z"),
    ("Africa/Cairo", "2024-10-31T21:00Z"),
    ("Africa/Casablanca", "2024-03-10T02:00Z"),
    ("Africa/Casablanca", "2024-04-14T02:00Z"),
    ("Asia/Kathmandu", "2024-12-31T18:15Z"),
    ("Pacific/Kwajalein", "1993-08-21T12:00Z"),
];

/// A field as it is written, and what it means.
#[derive(Debug, Clone)]
struct Field {
    text: String,
    values: BTreeSet<i8>,
}

impl Field {
    fn restricts(&self) -> bool {
        !self.text.starts_with('*')
    }
}

#[derive(Debug, Clone)]
struct Fields([Field; 5]);

impl Fields {
    fn text(&self) -> String {
        self.0.each_ref().map(|field| field.text.clone()).join(" ")
    }

    fn fit(&self, wall: DateTime) -> bool {
        let [minute, hour, day, month, weekday] = &self.0;
        let day_fits = day.values.contains(&wall.day());
        let weekday_fits = weekday
            .values
            .contains(&wall.weekday().to_sunday_zero_offset());
        let date_fits = if day.restricts() && weekday.restricts() {
            day_fits || weekday_fits
        } else {
            day_fits && weekday_fits
        };
        date_fits
            && month.values.contains(&wall.month())
            && hour.values.contains(&wall.hour())
            && minute.values.contains(&wall.minute())
    }

    /// Looks at the wall each minute from `from` to `to`, as someone would who has to do it by hand: what the clock jumps
    /// over is done at once, what it shows again has been done.
    fn fires(&self, zone: &TimeZone, from: i64, to: i64) -> Vec<i64> {
        let by_hour = self.0[1].restricts();
        let mut seen = wall(zone, from);
        let mut fires = Vec::new();
        for moment in (from..=to)
            .step_by(usize::try_from(MINUTE).unwrap())
            .skip(1)
        {
            let now = wall(zone, moment);
            let due = if by_hour {
                let since = seen.checked_add(1.minute()).unwrap();
                let mut passed = since.series(1.minute()).take_while(|time| *time <= now);
                passed.any(|time| self.fit(time))
            } else {
                self.fit(now)
            };
            if due {
                fires.push(moment);
            }
            seen = seen.max(now);
        }
        fires
    }
}

fn wall(zone: &TimeZone, micros: i64) -> DateTime {
    zone.to_datetime(Timestamp::from_microsecond(micros).unwrap())
}

fn field(first: i8, last: i8) -> impl Strategy<Value = Field> {
    let star = Just(Field {
        text: "*".to_owned(),
        values: (first..=last).collect(),
    });
    let step = (1..=last).prop_map(move |step| Field {
        text: format!("*/{step}"),
        values: stepped(first, last, step),
    });
    let some = prop::collection::btree_set(first..=last, 1..4).prop_map(|values| Field {
        text: values
            .iter()
            .map(i8::to_string)
            .collect::<Vec<_>>()
            .join(","),
        values,
    });
    let range = (first..=last, first..=last, 1..=last).prop_map(|(one, other, step)| {
        let (low, high) = (one.min(other), one.max(other));
        Field {
            text: format!("{low}-{high}/{step}"),
            values: stepped(low, high, step),
        }
    });
    prop_oneof![3 => star, 1 => step, 2 => some, 1 => range]
}

fn stepped(first: i8, last: i8, step: i8) -> BTreeSet<i8> {
    (first..=last)
        .step_by(usize::from(step.unsigned_abs()))
        .collect()
}

fn fields() -> impl Strategy<Value = Fields> {
    let month = prop_oneof![2 => Just(Field { text: "*".to_owned(), values: (1..=12).collect() }), 1 => field(1, 12)];
    (field(0, 59), field(0, 23), field(1, 31), month, field(0, 6))
        .prop_map(|(minute, hour, day, month, weekday)| Fields([minute, hour, day, month, weekday]))
}

/// Those of them that fire.
fn firing() -> impl Strategy<Value = (Fields, Cron)> {
    fields().prop_filter_map("never fires", |fields| {
        let cron = Cron::parse(&fields.text()).ok()?;
        Some((fields, cron))
    })
}

fn change() -> impl Strategy<Value = (&'static str, i64)> {
    let change = prop::sample::select(CHANGES);
    change.prop_map(|(name, moment)| (name, at(moment)))
}

fn all_between(cron: &Cron, zone: &Zone, from: i64, to: i64) -> Vec<i64> {
    let next = |after: &i64| cron.next_after(*after, zone).filter(|next| *next <= to);
    std::iter::successors(next(&from), next).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn it_fires_where_the_clock_says_so((fields, cron) in firing(), (name, change) in change()) {
        let rules = TimeZoneDatabase::bundled().get(name).unwrap();
        let (from, to) = (change - DAY, change + DAY);
        let watched = fields.fires(&rules, from - 2 * DAY, to);
        let expected: Vec<String> = watched.into_iter().filter(|fire| *fire > from).map(shown).collect();
        let fires: Vec<String> = all_between(&cron, &zone(name), from, to).into_iter().map(shown).collect();
        prop_assert_eq!(fires, expected, "{} in {}", cron, name);
    }

    #[test]
    fn next_is_later_and_nothing_lies_between((_, cron) in firing(), (name, change) in change(), away in -400 * DAY..400 * DAY) {
        let zone = zone(name);
        let after = change + away;
        let next = cron.next_after(after, &zone).unwrap();
        prop_assert!(next > after);
        prop_assert!(cron.matches(next, &zone));
        prop_assert_eq!(cron.next_after(next - 1, &zone), Some(next));
        let middle = after + (next - after) / 2;
        prop_assert_eq!(cron.next_after(middle, &zone), if middle < next { Some(next) } else { None });
    }

    #[test]
    fn the_last_of_a_span_is_the_last_of_all((_, cron) in firing(), (name, change) in change(), days in 0..3_i64) {
        let zone = zone(name);
        let (from, to) = (change - DAY, change + days * DAY);
        let last = all_between(&cron, &zone, from, to).last().copied();
        prop_assert_eq!(Spec::Cron(cron, zone).last_within(from, to), last);
    }

    #[test]
    fn what_fires_stands_on_the_wall((fields, cron) in firing(), (name, change) in change()) {
        let rules = TimeZoneDatabase::bundled().get(name).unwrap();
        let next = cron.next_after(change + 2 * DAY, &zone(name)).unwrap();
        let shown = wall(&rules, next);
        let before = wall(&rules, next - 1);
        let after_a_gap = before.checked_add(1.minute()).unwrap() < shown;
        prop_assert!(fields.fit(shown) || after_a_gap);
    }

    #[test]
    fn it_shows_what_reads_as_the_same((_, cron) in firing()) {
        prop_assert_eq!(cron.to_string().parse::<Cron>(), Ok(cron));
    }

    #[test]
    fn no_text_brings_it_down(text in "\\PC*", almost in "[0-9*/,@A-Z -]{0,30}") {
        let _ = Spec::parse(&text);
        let _ = Spec::parse(&almost);
    }
}

/// 1900 and 2100 have no 29 February, so that one on a given day of the week may be forty years away.
#[test]
fn the_rarest_date_is_found() {
    let rarest = cron("0 0 29 2 */7"); // on a Sunday
    let next = rarest.next_after(at("2088-03-01T00:00Z"), &zone("UTC"));
    assert_eq!(next.map(shown).as_deref(), Some("2128-02-29T00:00:00Z"));
}
