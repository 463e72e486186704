//! Intervals.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use crate::duration;
use crate::error::ScheduleError;

const SECOND: i64 = 1_000_000;

const UNITS: [(u64, char); 4] = [(86_400, 'd'), (3_600, 'h'), (60, 'm'), (1, 's')];

/// An interval of whole seconds. It fires at the multiples of it since 1970 (UTC), so that every worker computes the same
/// moments: one of five minutes at :00, :05 and so on, whenever it was set up.
///
/// Its `Display` form, such as `1h30m`, reads as the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Every {
    micros: i64,
}

impl Every {
    /// Reads an interval: `"30s"`, `"5m"`, `"1h30m"`, `"2d"`.
    ///
    /// # Errors
    ///
    /// When it is no duration, or not of whole seconds, or none at all.
    pub fn parse(text: &str) -> Result<Self, ScheduleError> {
        Self::read(text).map_err(|why| ScheduleError::new("an interval", text, why))
    }

    pub(crate) fn read(text: &str) -> Result<Self, String> {
        let duration = duration::parse(text)?;
        if duration.is_zero() || duration.subsec_nanos() > 0 {
            return Err(
                "the shortest interval is a second, and longer ones are whole seconds".to_owned(),
            );
        }
        let micros = i64::try_from(duration.as_micros());
        Ok(Self {
            micros: micros.expect("a duration that was read is at most a thousand years"),
        })
    }

    /// Returns its length.
    pub fn duration(self) -> Duration {
        Duration::from_micros(self.micros.unsigned_abs())
    }

    /// Returns the first moment after `micros` at which it fires, both in microseconds since 1970; `None` beyond the last
    /// moment there is.
    pub fn next_after(self, micros: i64) -> Option<i64> {
        let slot = micros.div_euclid(self.micros).checked_add(1)?;
        slot.checked_mul(self.micros)
    }

    /// Whether it fires at this very moment, in microseconds since 1970.
    pub fn matches(self, micros: i64) -> bool {
        micros.rem_euclid(self.micros) == 0
    }
}

impl FromStr for Every {
    type Err = ScheduleError;

    fn from_str(text: &str) -> Result<Self, ScheduleError> {
        Self::parse(text)
    }
}

impl fmt::Display for Every {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut rest = (self.micros / SECOND).unsigned_abs();
        for (length, unit) in UNITS {
            if rest >= length {
                write!(f, "{}{unit}", rest / length)?;
                rest %= length;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_shows_what_reads_as_the_same() {
        for (text, shown) in [
            ("5m", "5m"),
            ("90m", "1h30m"),
            ("1 day 1 sec", "1d1s"),
            ("2w", "14d"),
            ("1000ms", "1s"),
        ] {
            let every = Every::parse(text).unwrap();
            assert_eq!(every.to_string(), shown);
            assert_eq!(shown.parse(), Ok(every));
        }
    }

    #[test]
    fn it_fires_at_its_multiples_strictly_after() {
        let every = Every::parse("5m").unwrap();
        let five = 300 * SECOND;
        for (after, next) in [
            (0, five),
            (1, five),
            (five - 1, five),
            (five, 2 * five),
            (-1, 0),
            (-five, 0),
        ] {
            assert_eq!(every.next_after(after), Some(next), "{after}");
        }
        assert!(every.matches(0) && every.matches(-five) && !every.matches(1));
        assert_eq!(every.next_after(i64::MAX), None);
        assert!(every.next_after(i64::MIN).is_some());
    }

    #[test]
    fn what_is_shorter_than_a_second_is_refused() {
        for text in ["0s", "999ms", "1500ms", "1s1ns"] {
            let error = Every::parse(text).unwrap_err();
            assert!(
                error.why().starts_with("the shortest interval is a second"),
                "{text}"
            );
        }
        let error = Every::parse("5").unwrap_err().to_string();
        assert!(error.starts_with("`5` is not an interval: "), "{error}");
        assert!(error.contains("it has no unit"), "{error}");
    }
}
