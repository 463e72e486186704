//! A schedule in one text.

use std::fmt;
use std::iter;
use std::str::FromStr;

use crate::cron::Cron;
use crate::error::ScheduleError;
use crate::every::Every;
use crate::zone::Zone;

/// A schedule as one writes it: a cron expression, perhaps with a time zone, or an interval.
///
/// Its `Display` form reads as the same.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Spec {
    /// `"0 9 * * 1"`, in UTC, or `"0 9 * * 1 America/New_York"`.
    Cron(Cron, Zone),
    /// `"@every 5m"`.
    Every(Every),
}

impl Spec {
    /// Reads a schedule.
    ///
    /// # Errors
    ///
    /// When it is malformed, names no zone that there is, or would never fire.
    ///
    /// # Examples
    ///
    /// ```
    /// use flux_cron::Spec;
    ///
    /// let spec = Spec::parse("0 9 * * 1 america/new_york")?;
    /// assert_eq!(spec.to_string(), "0 9 * * 1 America/New_York");
    ///
    /// let new_year_2024 = 1_704_067_200_000_000; // a Monday
    /// let nine = new_year_2024 + (9 + 5) * 3_600_000_000;
    /// assert_eq!(spec.next_after(new_year_2024), Some(nine));
    ///
    /// let error = Spec::parse("60 * * * *").unwrap_err();
    /// assert!(error.to_string().contains("in the minute field, `60` is not within 0-59"));
    /// # Ok::<(), flux_cron::ScheduleError>(())
    /// ```
    pub fn parse(text: &str) -> Result<Self, ScheduleError> {
        Self::read(text).map_err(|why| ScheduleError::new("a schedule", text, why))
    }

    fn read(text: &str) -> Result<Self, String> {
        let words: Vec<&str> = text.split_whitespace().collect();
        match &words[..] {
            [every, interval @ ..] if every.eq_ignore_ascii_case("@every") => {
                read_every(interval).map(Self::Every)
            }
            [nickname, zone] if nickname.starts_with('@') => {
                Ok(Self::Cron(Cron::read(nickname)?, Zone::read(zone)?))
            }
            [fields @ .., zone] if fields.len() == 5 && !looks_like_a_field(zone) => Ok(
                Self::Cron(Cron::read(&fields.join(" "))?, Zone::read(zone)?),
            ),
            _ => Ok(Self::Cron(Cron::read(text)?, Zone::default())),
        }
    }

    /// Returns the first moment after `micros` at which it fires, both in microseconds since 1970; `None` when there is
    /// none before the end of time, which for an expression is the year 9999.
    pub fn next_after(&self, micros: i64) -> Option<i64> {
        match self {
            Self::Cron(cron, zone) => cron.next_after(micros, zone),
            Self::Every(every) => every.next_after(micros),
        }
    }

    /// Whether it fires at this very moment, in microseconds since 1970.
    pub fn matches(&self, micros: i64) -> bool {
        match self {
            Self::Cron(cron, zone) => cron.matches(micros, zone),
            Self::Every(every) => every.matches(micros),
        }
    }

    /// Returns the last moment after `after` and not after `until` at which it fires, if there is one.
    ///
    /// The time it takes hardly depends on how many there are.
    pub fn last_within(&self, after: i64, until: i64) -> Option<i64> {
        let within = |from: i64, to: i64| self.next_after(from).filter(|next| *next <= to);
        let mut last = within(after, until)?;
        // Nothing fires between `end` and `until`.
        let mut end = until;
        while last < end {
            // Rounded towards `last`, which `midpoint` does only after 1970.
            let middle = last.saturating_add_unsigned(end.abs_diff(last) / 2);
            match within(middle, end) {
                Some(later) => last = later,
                None => end = middle,
            }
        }
        Some(last)
    }

    /// Returns one moment after the other at which it fires after `micros`.
    pub fn upcoming(&self, micros: i64) -> impl Iterator<Item = i64> + '_ {
        iter::successors(self.next_after(micros), |&last| self.next_after(last))
    }
}

fn read_every(interval: &[&str]) -> Result<Every, String> {
    if let [_, .., last] = interval
        && Zone::read(last).is_ok()
    {
        return Err(format!(
            "an interval counts real time and has no zone: leave out `{last}`"
        ));
    }
    Every::read(&interval.join(" "))
}

/// Whether a sixth word is a field, as in an expression with seconds, and not a zone that nobody knows.
fn looks_like_a_field(word: &str) -> bool {
    let named =
        Cron::read(&format!("* * * {word} *")).or_else(|_| Cron::read(&format!("* * * * {word}")));
    named.is_ok() || !word.contains(|c: char| c.is_ascii_alphabetic())
}

impl FromStr for Spec {
    type Err = ScheduleError;

    fn from_str(text: &str) -> Result<Self, ScheduleError> {
        Self::parse(text)
    }
}

impl fmt::Display for Spec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cron(cron, zone) if zone.is_utc() => cron.fmt(f),
            Self::Cron(cron, zone) => write!(f, "{cron} {zone}"),
            Self::Every(every) => write!(f, "@every {every}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_shows_what_reads_as_the_same() {
        for (text, shown) in [
            ("0 12 * * *", "0 12 * * *"),
            (" 0 9 * *  1 america/new_york", "0 9 * * 1 America/New_York"),
            ("0 9 * * 1 UTC", "0 9 * * 1"),
            ("@daily", "@daily"),
            ("@daily Europe/Berlin", "@daily Europe/Berlin"),
            ("@every 90m", "@every 1h30m"),
            ("@EVERY 1h 30m", "@every 1h30m"),
        ] {
            let spec = Spec::parse(text).unwrap();
            assert_eq!(spec.to_string(), shown);
            assert_eq!(shown.parse(), Ok(spec));
        }
    }

    #[test]
    fn what_is_no_schedule_says_why() {
        for (text, why) in [
            ("", "it is empty; "),
            ("60 * * * *", "in the minute field, `60` is not within 0-59"),
            (
                "0 9 * * 1 Mars/Olympus",
                "there is no zone `Mars/Olympus`; ",
            ),
            ("0 9 * * 1 New York", "it has 7 fields instead of five"),
            (
                "@daily Berlin",
                "there is no zone `Berlin`; did you mean `Europe/Berlin`?",
            ),
            ("0 0 12 * * *", "it has 6 fields instead of five"),
            ("0 0 12 * * MON", "it has 6 fields instead of five"),
            ("0 0 12 1 JAN ?", "it has 6 fields instead of five"),
            ("@every", "`` is not a duration: it is empty"),
            ("@every 5", "`5` is not a duration: it has no unit"),
            ("@every 0s", "the shortest interval is a second"),
            (
                "@every 5m UTC",
                "an interval counts real time and has no zone: leave out `UTC`",
            ),
            ("@reboot", "there is no `@reboot`"),
            ("@daily 5", "there is no zone `5`"),
        ] {
            let error = Spec::parse(text).unwrap_err();
            assert!(error.why().starts_with(why), "{error}");
        }
    }

    #[test]
    fn the_last_moment_of_a_span_is_found() {
        let spec = Spec::parse("@every 5s").unwrap();
        let second = 1_000_000;
        for (after, until, last) in [
            (0, 4 * second, None),
            (0, 5 * second, Some(5 * second)),
            (5 * second, 9 * second, None),
            (5 * second, 5 * second, None),
            (9 * second, 5 * second, None),
            (0, 1_000_003 * second, Some(1_000_000 * second)),
            (i64::MIN, 1, Some(0)),
            (-20 * second, -1, Some(-5 * second)),
        ] {
            assert_eq!(spec.last_within(after, until), last, "({after}, {until}]");
        }
    }

    #[test]
    fn what_is_upcoming_comes_in_order() {
        let spec = Spec::parse("@every 1s").unwrap();
        let upcoming: Vec<i64> = spec.upcoming(1_500_000).take(2).collect();
        assert_eq!(upcoming, [2_000_000, 3_000_000]);
    }
}
