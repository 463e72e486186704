//! Attempt to delay: plain arithmetic.

use std::time::Duration;

use crate::time::scaled;

/// What an exponential backoff begins with at least: from zero it would try again at once for ever.
const SHORTEST_TO_GROW: Duration = Duration::from_millis(1);

/// The wait before the next attempt.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Backoff {
    /// The same wait every time.
    Fixed(Duration),
    /// A wait that grows by `factor` with every attempt, up to `max`.
    Exponential {
        /// The wait after the first failed attempt; zero counts as a millisecond, because no factor makes zero longer.
        initial: Duration,
        /// What each further wait is multiplied with.
        factor: f64,
        /// The longest wait.
        max: Duration,
    },
}

impl Backoff {
    /// What holds where nothing is said: 1 s, doubled each time, at most 60 s.
    pub const DEFAULT: Self = Self::Exponential {
        initial: Duration::from_secs(1),
        factor: 2.0,
        max: Duration::from_mins(1),
    };

    /// The wait after failed attempt `attempt` (from 1), before jitter.
    pub fn delay(&self, attempt: u32) -> Duration {
        match *self {
            Self::Fixed(delay) => delay,
            Self::Exponential {
                initial,
                factor,
                max,
            } => {
                let initial = initial.max(SHORTEST_TO_GROW);
                let exponent = i32::try_from(attempt.saturating_sub(1)).unwrap_or(i32::MAX);
                if exponent == 0 {
                    return initial.min(max);
                }
                let grown = scaled(initial, factor.powi(exponent));
                // The product is rounded: a wait that grows must not shrink by that.
                let least = if factor >= 1.0 {
                    initial
                } else {
                    Duration::ZERO
                };
                grown.max(least).min(max)
            }
        }
    }

    /// The same with jitter, so that what failed together does not come back together: up to a
    /// fifth longer, `random` being from 0 to 1.
    pub fn jittered(&self, attempt: u32, random: f64) -> Duration {
        let delay = self.delay(attempt);
        let longer = scaled(delay, random.clamp(0.0, 1.0) / 5.0);
        delay.saturating_add(longer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_doubles_until_its_limit() {
        let backoff = Backoff::DEFAULT;
        let waits: Vec<u64> = (1..=8)
            .map(|attempt| backoff.delay(attempt).as_secs())
            .collect();
        assert_eq!(waits, [1, 2, 4, 8, 16, 32, 60, 60]);
    }

    #[test]
    fn a_wait_grows_from_zero() {
        let backoff = Backoff::Exponential {
            initial: Duration::ZERO,
            factor: 2.0,
            max: Duration::from_millis(5),
        };
        let waits: Vec<u128> = (1..=4)
            .map(|attempt| backoff.delay(attempt).as_millis())
            .collect();
        assert_eq!(waits, [1, 2, 4, 5]);
    }

    #[test]
    fn a_wait_beyond_all_numbers_is_its_limit() {
        assert_eq!(Backoff::DEFAULT.delay(u32::MAX), Duration::from_mins(1));
    }
}
