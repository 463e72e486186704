//! Medians, and rounds in which the floor and Flux take turns.

use std::future::Future;
use std::time::{Duration, Instant};

/// What a case measured.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Measured {
    pub(crate) flux: f64,
    pub(crate) floor: f64,
    pub(crate) ratio: f64,
}

/// One round: the floor and Flux right after one another.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Round {
    pub(crate) flux: f64,
    pub(crate) floor: f64,
}

impl Measured {
    /// The medians of the rounds; the ratio is the median of their ratios, not the ratio of the medians.
    pub(crate) fn of(rounds: &[Round]) -> Self {
        Self {
            flux: median(rounds.iter().map(|round| round.flux)),
            floor: median(rounds.iter().map(|round| round.floor)),
            ratio: median(rounds.iter().map(|round| round.flux / round.floor)),
        }
    }
}

impl From<Round> for Measured {
    fn from(round: Round) -> Self {
        Self::of(&[round])
    }
}

/// The median of some numbers.
pub(crate) fn median(numbers: impl Iterator<Item = f64>) -> f64 {
    let mut numbers: Vec<f64> = numbers.collect();
    numbers.sort_by(f64::total_cmp);
    numbers.get(numbers.len() / 2).copied().unwrap_or(f64::NAN)
}

/// How long a future takes.
pub(crate) async fn timed<T>(work: impl Future<Output = T>) -> (T, Duration) {
    let began = Instant::now();
    let done = work.await;
    (done, began.elapsed())
}

/// So many per second.
pub(crate) fn rate(count: u32, took: Duration) -> f64 {
    f64::from(count) / took.as_secs_f64()
}
