//! Durations as people write them: `250ms`, `30s`, `1h30m`, `2d`.

use std::time::Duration;

/// What every message about a bad duration ends with.
pub const HOW: &str =
    "durations are written as whole numbers with units: \"250ms\", \"30s\", \"1h30m\", \"2d\"";

const UNITS: &[(&[&str], u128)] = &[
    (&["ns"], 1),
    (&["us", "µs"], 1_000),
    (&["ms"], 1_000_000),
    (&["s", "sec", "secs", "second", "seconds"], 1_000_000_000),
    (
        &["m", "min", "mins", "minute", "minutes"],
        60 * 1_000_000_000,
    ),
    (&["h", "hour", "hours"], 3_600 * 1_000_000_000),
    (&["d", "day", "days"], 86_400 * 1_000_000_000),
    (&["w", "week", "weeks"], 604_800 * 1_000_000_000),
];

/// The longest duration: a thousand years. What is longer is a slip, and would overflow timestamps.
const LONGEST: u128 = 1_000 * 366 * 86_400 * 1_000_000_000;

/// Reads a duration; the error says what is wrong with it, and how durations are written.
pub fn parse(text: &str) -> Result<Duration, String> {
    read(text).map_err(|why| format!("{why}; {HOW}"))
}

/// Reads a duration; the error says what is wrong with it.
pub fn read(text: &str) -> Result<Duration, String> {
    nanoseconds(text)
        .map(from_nanoseconds)
        .map_err(|why| format!("`{text}` is not a duration: {why}"))
}

fn nanoseconds(text: &str) -> Result<u128, String> {
    let mut rest = text.trim();
    if rest.is_empty() {
        return Err("it is empty".to_owned());
    }
    let mut total = 0_u128;
    while !rest.is_empty() {
        let (count, after) = number(rest)?;
        let (unit, after) = unit(after)?;
        total = count
            .checked_mul(unit)
            .and_then(|part| total.checked_add(part))
            .unwrap_or(u128::MAX);
        rest = after.trim_start();
    }
    if total > LONGEST {
        Err("it is longer than a thousand years".to_owned())
    } else {
        Ok(total)
    }
}

fn number(text: &str) -> Result<(u128, &str), String> {
    let end = text
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text.len());
    let (digits, rest) = text.split_at(end);
    if digits.is_empty() {
        return Err(format!("`{text}` does not begin with a number"));
    }
    if rest.starts_with('.') {
        return Err("it has a fraction, so use a smaller unit".to_owned());
    }
    Ok((digits.parse().unwrap_or(u128::MAX), rest))
}

fn unit(text: &str) -> Result<(u128, &str), String> {
    let text = text.trim_start();
    let end = text
        .find(|c: char| !c.is_alphabetic())
        .unwrap_or(text.len());
    let (name, rest) = text.split_at(end);
    if name.is_empty() {
        return Err("it has no unit".to_owned());
    }
    let known = UNITS.iter().find(|(names, _)| names.contains(&name));
    known
        .map(|&(_, unit)| (unit, rest))
        .ok_or_else(|| format!("there is no unit `{name}`"))
}

fn from_nanoseconds(total: u128) -> Duration {
    let seconds = u64::try_from(total / 1_000_000_000).unwrap_or(u64::MAX);
    let rest = u32::try_from(total % 1_000_000_000).unwrap_or_default();
    Duration::new(seconds, rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_as_people_write_them() {
        let cases: &[(&str, Duration)] = &[
            ("250ms", Duration::from_millis(250)),
            ("30s", Duration::from_secs(30)),
            ("1h30m", Duration::from_mins(90)),
            ("1h 30m", Duration::from_mins(90)),
            (" 2 days ", Duration::from_hours(48)),
            ("1w", Duration::from_hours(168)),
            ("10us", Duration::from_micros(10)),
            ("10µs", Duration::from_micros(10)),
            ("7ns", Duration::from_nanos(7)),
            ("1min1sec", Duration::from_secs(61)),
            ("0s", Duration::ZERO),
        ];
        for (text, expected) in cases {
            assert_eq!(parse(text), Ok(*expected), "{text}");
        }
    }

    #[test]
    fn what_is_no_duration_says_why() {
        let cases = [
            ("", "it is empty"),
            ("30", "it has no unit"),
            ("30 s 5", "it has no unit"),
            ("s", "`s` does not begin with a number"),
            ("-5s", "`-5s` does not begin with a number"),
            ("1.5s", "it has a fraction, so use a smaller unit"),
            ("5 parsecs", "there is no unit `parsecs`"),
            ("5M", "there is no unit `M`"),
            ("999999d", "it is longer than a thousand years"),
            (
                "99999999999999999999999999999999999999999999d",
                "it is longer than a thousand years",
            ),
        ];
        for (text, why) in cases {
            let error = parse(text).unwrap_err();
            assert_eq!(
                error,
                format!("`{text}` is not a duration: {why}; {HOW}"),
                "{text}"
            );
        }
    }
}
