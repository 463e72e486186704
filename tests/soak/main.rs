//! Everything at once, in real processes: programs with every feature, and whatever can happen to them.
//!
//! ```text
//! cargo test -p flux-tests --test soak                                   # half a minute
//! FLUX_SOAK=60 cargo test --release -p flux-tests --test soak            # an hour, one seed after another
//! FLUX_SEED=7 FLUX_SOAK_ONLY=stop,lock cargo test -p flux-tests --test soak
//! ```
//!
//! A round has a store of its own, workers of two versions of the code, and a desk that starts orders and steers them.
//! They are killed, stopped and told to end, their store is locked or full for seconds, and the command line asks for
//! things meanwhile. Then all calms down. Every order has to come to its end without a restart of what still lives, and
//! the histories and a [ledger](ledger) outside of the store have to agree with what was promised.
//!
//! The seed decides the orders and what happens to them. The machine decides the rest, so a seed that failed may pass.

#![allow(
    clippy::pedantic,
    clippy::unwrap_used,
    reason = "tests are written to be read, and one that cannot go on fails"
)]
#![allow(missing_docs, unreachable_pub, reason = "a test has no users")]

mod bodies;
mod chaos;
mod check;
mod clock;
mod code;
mod command;
mod desk;
mod feature;
#[allow(dead_code, reason = "it is shared with the random programs")]
#[path = "../random/history.rs"]
mod history;
mod ledger;
mod people;
mod plan;
mod process;
mod program;
mod round;
mod script;
mod settle;
mod site;

fn main() {
    match process::role() {
        Some(role) => program::play(&role),
        None => plan::run_as_test("everything_at_once", round::all),
    }
}
