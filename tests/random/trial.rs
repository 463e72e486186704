//! Trying a property on random programs: seeds, the short form and the long one, and what a failure prints.

use std::time::Duration;

use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::{Config, RngSeed, TestCaseError, TestError, TestRunner};

use super::program::{Grammar, Node};

/// Tries `test` on random programs, until one fails or time is up; prints what is needed to try it again.
pub(crate) fn for_programs(
    name: &str,
    grammar: Grammar,
    cases: u32,
    test: impl Fn(u64, &Node) -> Result<(), String>,
) {
    quiet_planned_panics();
    if let Ok(text) = std::env::var("FLUX_PROGRAM") {
        let (seed, node) = text
            .split_once(' ')
            .expect("FLUX_PROGRAM=<seed> <program as JSON>");
        let node = serde_json::from_str(node).expect("a program");
        test(seed.parse().expect("a seed"), &node).unwrap_or_else(|error| panic!("{error}"));
        return;
    }
    for seed in seeds() {
        let config = Config {
            cases,
            rng_seed: RngSeed::Fixed(seed),
            failure_persistence: None,
            max_shrink_iters: 2000,
            ..Config::default()
        };
        let tried = TestRunner::new(config).run(&grammar.programs(), |node| {
            if std::env::var_os("FLUX_TRACE").is_some() {
                eprintln!(
                    "'{seed} {}'",
                    serde_json::to_string(&node).expect("a program")
                );
            }
            let caught =
                std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| test(seed, &node)));
            let failed = |error: String| TestCaseError::fail(error);
            caught
                .unwrap_or_else(|panic| Err(panic_text(&*panic)))
                .map_err(failed)
        });
        match tried {
            Ok(()) => {}
            Err(TestError::Fail(reason, node)) => {
                let json = serde_json::to_string(&node).expect("a program");
                panic!("{name}: {reason}\nFLUX_SEED={seed}\nFLUX_PROGRAM='{seed} {json}'")
            }
            Err(error) => panic!("{name}: FLUX_SEED={seed}: {error}"),
        }
    }
}

/// The seeds to try: one, that of `FLUX_SEED` if it is given, or for `FLUX_SOAK` minutes one after another.
pub(crate) fn seeds() -> impl Iterator<Item = u64> {
    let number = |name| std::env::var(name).ok().and_then(|text| text.parse().ok());
    let first = number("FLUX_SEED").unwrap_or_else(|| fastrand::Rng::new().u64(..));
    let soak = Duration::from_secs(60 * number("FLUX_SOAK").unwrap_or(0));
    let until = std::time::Instant::now() + soak;
    let others = (1..).map(move |round| first.wrapping_add(round));
    let others = others.take_while(move |_| std::time::Instant::now() < until);
    std::iter::once(first).chain(others)
}

/// Some programs, the same for the same seed.
pub(crate) fn some_programs(grammar: Grammar, seed: u64, count: usize) -> Vec<Node> {
    let config = Config {
        rng_seed: RngSeed::Fixed(seed),
        failure_persistence: None,
        ..Config::default()
    };
    let mut runner = TestRunner::new(config);
    let programs = grammar.programs();
    let some = (0..count).map(|_| programs.new_tree(&mut runner).expect("a program").current());
    some.collect()
}

fn panic_text(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().cloned();
    text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()))
        .unwrap_or_default()
}

/// Panics that programs plan are no news.
pub(crate) fn quiet_planned_panics() {
    static ONCE: std::sync::Once = std::sync::Once::new();
    ONCE.call_once(|| {
        let hook = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            if !panic_text(info.payload()).starts_with("planned") {
                hook(info);
            }
        }));
    });
}
