//! A cron expression, and the times of day that it names.

use std::fmt;
use std::str::FromStr;

use jiff::civil::{Date, DateTime};

use crate::error::ScheduleError;
use crate::field::{DAY, HOUR, MINUTE, MONTH, Values, WEEKDAY};
use crate::next;
use crate::zone::Zone;

/// Each nickname and what it stands for.
const NICKNAMES: &[(&str, &str)] = &[
    ("@yearly", "0 0 1 1 *"),
    ("@annually", "0 0 1 1 *"),
    ("@monthly", "0 0 1 * *"),
    ("@weekly", "0 0 * * 0"),
    ("@daily", "0 0 * * *"),
    ("@midnight", "0 0 * * *"),
    ("@hourly", "0 * * * *"),
];

/// The longest that each month can be.
const LONGEST: [i8; 12] = [31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];

/// A cron expression of five fields, or a nickname such as `@daily`, without a time zone.
///
/// Its `Display` form is what was read, and reads as the same.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Cron {
    text: String,
    minutes: Values,
    hours: Values,
    days: Values,
    months: Values,
    weekdays: Values,
}

impl Cron {
    /// Reads an expression.
    ///
    /// # Errors
    ///
    /// When it is malformed, and when it would never fire (`0 0 31 FEB *`).
    ///
    /// # Examples
    ///
    /// ```
    /// use flux_cron::{Cron, Zone};
    ///
    /// let mondays = Cron::parse("0 9 * * MON")?;
    /// let new_year_2024 = 1_704_067_200_000_000; // a Monday
    /// let nine = mondays.next_after(new_year_2024, &Zone::default());
    /// assert_eq!(nine, Some(new_year_2024 + 9 * 3_600_000_000));
    /// # Ok::<(), flux_cron::ScheduleError>(())
    /// ```
    pub fn parse(text: &str) -> Result<Self, ScheduleError> {
        Self::read(text).map_err(|why| ScheduleError::new("a cron expression", text, why))
    }

    pub(crate) fn read(text: &str) -> Result<Self, String> {
        let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
        let fields = if text.starts_with('@') {
            nickname(&text)?
        } else {
            &text
        };
        let [minute, hour, day, month, weekday] = fields.split(' ').collect::<Vec<_>>()[..] else {
            return Err(wrong_number(&text));
        };
        let cron = Self {
            minutes: MINUTE.read(minute)?,
            hours: HOUR.read(hour)?,
            days: DAY.read(day)?,
            months: MONTH.read(month)?,
            weekdays: WEEKDAY.read(weekday)?,
            text,
        };
        cron.fires_at_all()?;
        Ok(cron)
    }

    /// Returns the first moment after `micros` at which it fires in `zone`, both in microseconds since 1970; `None` when
    /// that lies beyond the year 9999.
    pub fn next_after(&self, micros: i64, zone: &Zone) -> Option<i64> {
        next::after(self, micros, zone)
    }

    /// Whether it fires in `zone` at this very moment, in microseconds since 1970.
    ///
    /// A moment right after a gap counts if a time in the gap fires then; the second occurrence of a repeated time does not.
    pub fn matches(&self, micros: i64, zone: &Zone) -> bool {
        micros
            .checked_sub(1)
            .and_then(|before| self.next_after(before, zone))
            == Some(micros)
    }

    /// Whether it fires by real time, and not at a time of day.
    pub(crate) fn follows_real_time(&self) -> bool {
        !self.hours.restricts()
    }

    /// The first full minute on the wall, not before `from`, that the fields fit.
    pub(crate) fn next_on_the_wall(&self, from: DateTime) -> Option<DateTime> {
        let mut date = from.date();
        let mut time = (from.hour(), from.minute());
        loop {
            if !self.months.has(date.month()) {
                date = date.last_of_month().tomorrow().ok()?;
            } else if self.fits_day(date)
                && let Some((hour, minute)) = self.next_time(time)
            {
                return Some(date.at(hour, minute, 0, 0));
            } else {
                date = date.tomorrow().ok()?;
            }
            time = (0, 0);
        }
    }

    fn next_time(&self, (hour, minute): (i8, i8)) -> Option<(i8, i8)> {
        if self.hours.has(hour)
            && let Some(minute) = self.minutes.from(minute)
        {
            return Some((hour, minute));
        }
        Some((self.hours.from(hour + 1)?, self.minutes.first()?))
    }

    /// Where both days are restricted, either may fit.
    fn fits_day(&self, date: Date) -> bool {
        let day = self.days.has(date.day());
        let weekday = self.weekdays.has(date.weekday().to_sunday_zero_offset());
        if self.restricts_both_days() {
            day || weekday
        } else {
            day && weekday
        }
    }

    fn restricts_both_days(&self) -> bool {
        self.days.restricts() && self.weekdays.restricts()
    }

    /// It does if one of its months has one of its days: each date is each day of the week in some year.
    fn fires_at_all(&self) -> Result<(), String> {
        let first = self.days.first().unwrap_or_default();
        let has_it = |(month, longest)| self.months.has(month) && first <= longest;
        if self.restricts_both_days() || (1..).zip(LONGEST).any(has_it) {
            return Ok(());
        }
        Err(format!(
            "it never fires, because none of its months has a day {first}"
        ))
    }
}

fn nickname(text: &str) -> Result<&'static str, String> {
    let lower = text.to_ascii_lowercase();
    if lower.starts_with("@every") {
        return Err("an interval is no cron expression".to_owned());
    }
    let found = NICKNAMES.iter().find(|(name, _)| *name == lower);
    found.map(|&(_, fields)| fields).ok_or_else(|| {
        let names: Vec<String> = NICKNAMES
            .iter()
            .map(|(name, _)| format!("`{name}`"))
            .collect();
        format!(
            "there is no `{text}`, only {} and `@every 5m`",
            names.join(", ")
        )
    })
}

const FIELDS: &str = "minute, hour, day of month, month, day of week";

fn wrong_number(text: &str) -> String {
    match text.split_whitespace().count() {
        0 => format!("it is empty; an expression has five fields: {FIELDS}"),
        1 => format!("it has 1 field instead of five: {FIELDS}"),
        6 => format!(
            "it has 6 fields instead of five: {FIELDS}. There is none for seconds: leave it out, or write \"@every 10s\""
        ),
        count => format!("it has {count} fields instead of five: {FIELDS}"),
    }
}

impl FromStr for Cron {
    type Err = ScheduleError;

    fn from_str(text: &str) -> Result<Self, ScheduleError> {
        Self::parse(text)
    }
}

impl fmt::Display for Cron {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn why(text: &str) -> String {
        Cron::parse(text).unwrap_err().why().to_owned()
    }

    #[test]
    fn what_never_fires_is_refused() {
        for text in ["0 0 31 FEB *", "0 0 30 2 *", "0 0 31 4,6,9,11 */2"] {
            assert!(why(text).starts_with("it never fires"), "{text}");
        }
        for text in [
            "0 0 29 FEB *",
            "0 0 31 FEB MON", // the Mondays of February
            "0 0 31 FEB,MAR *",
            "0 0 */31 * *",
        ] {
            assert!(Cron::parse(text).is_ok(), "{text}");
        }
    }

    #[test]
    fn other_than_five_fields_are_refused() {
        assert!(why("").starts_with("it is empty"));
        assert!(why("5").starts_with("it has 1 field instead"));
        assert!(why("* * * *").starts_with("it has 4 fields instead of five: minute,"));
        assert!(why("0 0 12 * * *").contains("There is none for seconds"));
        assert!(why("0 0 12 * * * 2025").starts_with("it has 7 fields"));
        assert!(why("@reboot").starts_with("there is no `@reboot`, only `@yearly`, "));
    }

    #[test]
    fn the_message_names_text_field_and_cure() {
        assert_eq!(
            Cron::parse(" 60 * * * * ").unwrap_err().to_string(),
            "`60 * * * *` is not a cron expression: in the minute field, `60` is not within 0-59"
        );
    }

    #[test]
    fn it_shows_what_was_read() {
        for (text, shown) in [
            (" 0  9 * *\tmon ", "0 9 * * mon"),
            ("@Daily", "@Daily"),
            ("*/15 8-18 1,15 JAN-MAR 7", "*/15 8-18 1,15 JAN-MAR 7"),
        ] {
            let cron = Cron::parse(text).unwrap();
            assert_eq!(cron.to_string(), shown);
            assert_eq!(shown.parse(), Ok(cron));
        }
    }
}
