//! Durations in the units people wait in, and all arithmetic with durations that could overflow: it saturates.

use std::time::Duration;

/// So many seconds.
pub const fn secs(count: u64) -> Duration {
    Duration::from_secs(count)
}

/// So many minutes, or the longest duration there is.
pub const fn mins(count: u64) -> Duration {
    units(count, 60)
}

/// So many hours, or the longest duration there is.
pub const fn hours(count: u64) -> Duration {
    units(count, 60 * 60)
}

/// So many days of 24 hours, or the longest duration there is.
pub const fn days(count: u64) -> Duration {
    units(count, 24 * 60 * 60)
}

const fn units(count: u64, seconds: u64) -> Duration {
    match count.checked_mul(seconds) {
        Some(seconds) => Duration::from_secs(seconds),
        None => Duration::MAX,
    }
}

/// The duration in microseconds, as timestamps count.
pub(crate) fn micros(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)
}

/// The duration times `factor`. A factor below zero, or one that is not a number, counts as zero.
pub(crate) fn scaled(duration: Duration, factor: f64) -> Duration {
    // Nothing stays nothing, also times infinity.
    if duration.is_zero() || factor.is_nan() || factor <= 0.0 {
        return Duration::ZERO;
    }
    let seconds = duration.as_secs_f64() * factor;
    // What is positive and no duration is too long to be one.
    Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::clock::Timestamp;
    use crate::retry::Backoff;

    fn durations() -> impl Strategy<Value = Duration> {
        let edges = [
            Duration::ZERO,
            Duration::from_nanos(1),
            Duration::from_micros(u64::MAX),
            Duration::MAX,
        ];
        prop_oneof![
            prop::sample::select(edges.to_vec()),
            (any::<u64>(), 0..1_000_000_000_u32).prop_map(|(s, n)| Duration::new(s, n)),
            any::<u32>().prop_map(|millis| Duration::from_millis(millis.into())),
        ]
    }

    fn backoffs() -> impl Strategy<Value = Backoff> {
        let exponential =
            (durations(), any::<f64>(), durations()).prop_map(|(initial, factor, max)| {
                Backoff::Exponential {
                    initial,
                    factor,
                    max,
                }
            });
        prop_oneof![durations().prop_map(Backoff::Fixed), exponential]
    }

    proptest! {
        #[test]
        fn no_backoff_is_too_long_to_be_waited_for(
            backoff in backoffs(),
            attempt in any::<u32>(),
            random in any::<f64>(),
            now in any::<i64>(),
        ) {
            let delay = backoff.delay(attempt);
            if let Backoff::Exponential { max, .. } = backoff {
                prop_assert!(delay <= max);
            }
            let jittered = backoff.jittered(attempt, random);
            prop_assert!(jittered >= delay || delay.checked_sub(jittered).unwrap() < Duration::from_secs(4_096));
            let due = Timestamp::from_micros(now).after(jittered);
            prop_assert!(due.as_micros() >= now);
        }

        #[test]
        fn a_growing_backoff_never_shrinks(
            initial in durations(),
            factor in 1.0..10.0_f64,
            max in durations(),
            attempt in 1..u32::MAX,
        ) {
            let backoff = Backoff::Exponential { initial, factor, max };
            prop_assert!(backoff.delay(attempt) <= backoff.delay(attempt + 1));
            let shortest = Duration::from_millis(1);
            prop_assert_eq!(backoff.delay(1), initial.max(shortest).min(max));
        }

        #[test]
        fn timestamps_stay_in_their_range(at in any::<i64>(), other in any::<i64>(), span in durations()) {
            let (at, other) = (Timestamp::from_micros(at), Timestamp::from_micros(other));
            prop_assert!(at.after(span) >= at);
            prop_assert!(at.before(span) <= at);
            prop_assert_eq!(at.since(other).is_zero(), at <= other);
            let _ = (at.to_string(), std::time::SystemTime::from(at));
        }

        #[test]
        fn a_scaled_duration_is_one(duration in durations(), factor in any::<f64>()) {
            let scaled = scaled(duration, factor);
            if (0.0..=1.0).contains(&factor) {
                // Seconds are scaled as `f64`, which rounds those of ages.
                prop_assert!(scaled <= duration || scaled.checked_sub(duration).unwrap() < Duration::from_secs(4_096));
            }
        }

        #[test]
        fn counts_of_units_saturate(count in any::<u64>()) {
            for unit in [secs, mins, hours, days] {
                prop_assert!(unit(count) >= unit(count / 2));
            }
        }
    }
}
