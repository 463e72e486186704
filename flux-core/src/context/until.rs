//! What a timer waits for, and how that is recorded.

use std::time::Duration;

use flux_cron::Spec;
use serde::Serialize;

use crate::clock::Timestamp;
use crate::payload::Payload;

/// The end of a sleep, as it was asked for. It is recorded as JSON, by which a replay knows it again.
#[derive(Debug, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Until {
    After(#[serde(serialize_with = "as_micros")] Duration),
    #[serde(rename = "until")]
    At(Timestamp),
    /// Not yet read.
    Cron(String),
}

fn as_micros<S: serde::Serializer>(span: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_u128(span.as_micros())
}

impl Until {
    /// The moment that is meant `now`.
    ///
    /// # Panics
    ///
    /// When it is a schedule that cannot be read: a mistake in the program, which fails the workflow.
    pub(super) fn moment(&self, now: Timestamp) -> Timestamp {
        match self {
            Self::After(span) => now.after(*span),
            Self::At(moment) => *moment,
            Self::Cron(schedule) => next(&read(schedule), now),
        }
    }

    /// What is recorded. Of a schedule it is the form it is shown in, so that white space makes no difference.
    pub(super) fn input(&self) -> Payload {
        let encoded = match self {
            Self::Cron(schedule) => Payload::encode(&Self::Cron(read(schedule).to_string())),
            other => Payload::encode(other),
        };
        encoded.expect("numbers and text can be recorded")
    }
}

fn read(schedule: &str) -> Spec {
    match Spec::parse(schedule) {
        Ok(spec) => spec,
        Err(error) => panic!("`sleep_until_cron` was given what it cannot wait for: {error}"),
    }
}

/// Strictly after `now`. Beyond the last moment that a schedule knows there is only the end of time.
fn next(spec: &Spec, now: Timestamp) -> Timestamp {
    let next = spec.next_after(now.as_micros());
    Timestamp::from_micros(next.unwrap_or(i64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: Timestamp = Timestamp::from_micros(86_400_000_000);

    fn cron(schedule: &str) -> Until {
        Until::Cron(schedule.to_owned())
    }

    #[test]
    fn the_recorded_form_is_what_histories_hold() {
        let cases = [
            (Until::After(Duration::from_millis(5)), r#"{"after":5000}"#),
            (Until::At(Timestamp::from_micros(7)), r#"{"until":7}"#),
            (cron(" 0 3  * * * "), r#"{"cron":"0 3 * * *"}"#),
            (
                cron("0 3 * * * europe/berlin"),
                r#"{"cron":"0 3 * * * Europe/Berlin"}"#,
            ),
        ];
        for (until, recorded) in cases {
            assert_eq!(until.input().as_str(), recorded);
        }
    }

    #[test]
    fn a_schedule_means_the_next_moment_and_not_the_present_one() {
        let midnight = cron("0 0 * * *");
        let before = DAY.before(Duration::from_micros(1));
        assert_eq!(midnight.moment(before), DAY);
        assert_eq!(midnight.moment(DAY), DAY.after(Duration::from_hours(24)));
        let end = Timestamp::from_micros(i64::MAX);
        assert_eq!(midnight.moment(end), end);
    }

    #[test]
    #[should_panic(expected = "in the minute field, `60` is not within 0-59")]
    fn what_is_no_schedule_is_said() {
        cron("60 * * * *").moment(DAY);
    }
}
