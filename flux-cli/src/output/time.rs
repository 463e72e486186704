//! Moments and spans, for people and as people write them.

use std::time::{Duration, SystemTime};

use clap::ValueEnum;
use flux_core::clock::Timestamp;

/// How moments are shown in tables. JSON has them as `iso`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum TimeStyle {
    /// `3m ago`, `in 2h`
    #[default]
    Relative,
    /// `2026-01-02T03:04:05.678901Z`
    Iso,
    /// In the time zone of this machine
    Local,
}

impl TimeStyle {
    pub(crate) fn show(self, moment: SystemTime, now: SystemTime) -> String {
        match self {
            Self::Relative => relative(moment, now),
            Self::Iso => Timestamp::from(moment).to_string(),
            Self::Local => local(moment),
        }
    }
}

fn relative(moment: SystemTime, now: SystemTime) -> String {
    const NOW: Duration = Duration::from_millis(500);
    match now.duration_since(moment) {
        Ok(ago) if ago < NOW => "now".to_owned(),
        Ok(ago) => format!("{} ago", rounded(ago)),
        Err(ahead) if ahead.duration() < NOW => "now".to_owned(),
        Err(ahead) => format!("in {}", rounded(ahead.duration())),
    }
}

fn local(moment: SystemTime) -> String {
    match jiff::Timestamp::try_from(moment) {
        Ok(moment) => moment
            .to_zoned(jiff::tz::TimeZone::system())
            .strftime("%Y-%m-%d %H:%M:%S %:z")
            .to_string(),
        Err(_) => Timestamp::from(moment).to_string(),
    }
}

/// A span to about three digits: `4.1s`, `3m12s`, `2h5m`, `3d4h`.
pub(crate) fn span(span: Duration) -> String {
    let millis = span.as_millis();
    let seconds = span.as_secs();
    let two = |large: u64, unit: &str, small: u64, smaller: &str| match small {
        0 => format!("{large}{unit}"),
        small => format!("{large}{unit}{small}{smaller}"),
    };
    match seconds {
        _ if span.is_zero() => "0s".to_owned(),
        0 if millis == 0 => "<1ms".to_owned(),
        0 => format!("{millis}ms"),
        1..10 if !millis.is_multiple_of(1000) => {
            format!("{}.{}s", seconds, millis % 1000 / 100).replace(".0s", "s")
        }
        1..60 => format!("{seconds}s"),
        60..3600 => two(seconds / 60, "m", seconds % 60, "s"),
        3600..86_400 => two(seconds / 3600, "h", seconds % 3600 / 60, "m"),
        _ => two(seconds / 86_400, "d", seconds % 86_400 / 3600, "h"),
    }
}

/// A span to one unit, for `.. ago`.
fn rounded(span: Duration) -> String {
    let seconds = span.as_secs();
    match seconds {
        0 => format!("{}ms", span.as_millis()),
        1..120 => format!("{seconds}s"),
        120..7200 => format!("{}m", seconds / 60),
        7200..172_800 => format!("{}h", seconds / 3600),
        _ => format!("{}d", seconds / 86_400),
    }
}

/// Reads a moment: `2026-01-02T03:04:05Z`, `2026-01-02 03:04` or `2026-01-02` (of this machine's zone), `2h` (ago) or
/// `+2h` (from now).
pub(crate) fn parse_moment(text: &str, now: SystemTime) -> Result<SystemTime, String> {
    let cure = "a moment reads as `2026-01-02T03:04:05Z`, `2026-01-02 03:04`, `2h` (ago) or `+2h` (from now)";
    if let Some(ahead) = text.strip_prefix('+') {
        let ahead = humantime::parse_duration(ahead).map_err(|_| cure)?;
        return now.checked_add(ahead).ok_or_else(|| cure.to_owned());
    }
    if let Ok(ago) = humantime::parse_duration(text) {
        return now.checked_sub(ago).ok_or_else(|| cure.to_owned());
    }
    if let Ok(moment) = text.parse::<jiff::Timestamp>() {
        return Ok(moment.into());
    }
    let civil: jiff::civil::DateTime = text.parse().map_err(|_| cure)?;
    let zoned = civil
        .to_zoned(jiff::tz::TimeZone::system())
        .map_err(|_| cure)?;
    Ok(zoned.timestamp().into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
    }

    #[test]
    fn spans_have_about_three_digits() {
        for (millis, text) in [
            (0, "0s"),
            (7, "7ms"),
            (999, "999ms"),
            (1000, "1s"),
            (4120, "4.1s"),
            (4020, "4s"),
            (59_900, "59s"),
            (60_000, "1m"),
            (192_000, "3m12s"),
            (7_500_000, "2h5m"),
            (273_600_000, "3d4h"),
        ] {
            assert_eq!(span(Duration::from_millis(millis)), text);
        }
        assert_eq!(span(Duration::from_micros(3)), "<1ms");
    }

    #[test]
    fn moments_are_told_from_now() {
        let now = at(1_000_000);
        for (moment, text) in [
            (at(1_000_000), "now"),
            (at(999_820), "3m ago"),
            (at(1_007_200), "in 2h"),
            (at(1_000_000 - 3 * 86_400), "3d ago"),
        ] {
            assert_eq!(relative(moment, now), text);
        }
    }

    #[test]
    fn moments_are_read_in_several_forms() {
        let now = at(1_000_000);
        assert_eq!(parse_moment("10s", now), Ok(at(999_990)));
        assert_eq!(parse_moment("+10s", now), Ok(at(1_000_010)));
        assert_eq!(parse_moment("1970-01-02T00:00:00Z", now), Ok(at(86_400)));
        assert!(parse_moment("1970-01-02 00:00", now).is_ok());
        assert!(parse_moment("1970-01-02", now).is_ok());
        assert!(parse_moment("soon", now).is_err());
    }
}
