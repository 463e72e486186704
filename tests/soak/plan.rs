//! What is to be tried: the seeds, for how long, and as which test.

use std::time::{Duration, Instant};

/// One round.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    pub seed: u64,
    /// How long everything happens.
    pub storm: Duration,
    /// Whether there is time for what takes long.
    pub is_long: bool,
}

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

/// The rounds: one, that of `FLUX_SEED` if it is given, or for `FLUX_SOAK` minutes one after another.
pub fn rounds() -> impl Iterator<Item = Plan> {
    let minutes = number("FLUX_SOAK");
    let first = number("FLUX_SEED").unwrap_or_else(|| fastrand::Rng::new().u64(..));
    let end = Instant::now() + Duration::from_secs(60 * minutes.unwrap_or(0));
    let seconds = number("FLUX_SOAK_STORM").unwrap_or(if minutes.is_some() { 40 } else { 10 });
    let plan = move |round: u64| Plan {
        seed: first.wrapping_add(round),
        storm: Duration::from_secs(seconds),
        is_long: minutes.is_some(),
    };
    let others = (1..).take_while(move |_| Instant::now() < end);
    std::iter::once(0).chain(others).map(plan)
}

/// Behaves as a test binary with this one test does, as far as `cargo test` asks.
///
/// The other processes of a round are this program again, and want their standard output, their exit codes and their
/// signals for themselves, which the usual harness does not leave to them.
pub fn run_as_test(name: &str, test: impl FnOnce()) {
    let args: Vec<String> = std::env::args().skip(1).collect();
    if args.iter().any(|arg| arg == "--list") {
        return println!("{name}: test\n\n1 test, 0 benchmarks");
    }
    let mut filters = Vec::new();
    let mut rest = args.iter();
    while let Some(arg) = rest.next() {
        match &**arg {
            "--ignored" => return,
            "--skip" => {
                if rest.next().is_some_and(|skip| name.contains(&**skip)) {
                    return;
                }
            }
            "--test-threads" | "--color" | "--format" | "--logfile" | "-Z" => drop(rest.next()),
            option if option.starts_with('-') => {}
            filter => filters.push(filter),
        }
    }
    if !filters.is_empty() && !filters.iter().any(|filter| name.contains(filter)) {
        return;
    }
    println!("\nrunning 1 test");
    test();
    println!("test {name} ... ok");
}
