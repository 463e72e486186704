//! Processes killed as `kill -9` does, at every store write, inside every body and at random: a new process goes on
//! where the old one was.
//!
//! `FLUX_SEED` tries one seed again, and `FLUX_SOAK` goes on for that many minutes.

#![allow(
    clippy::pedantic,
    clippy::unwrap_used,
    reason = "tests are written to be read, and one that cannot go on fails"
)]
#![allow(dead_code, reason = "some modules are shared with the random programs")]

#[path = "../random/brittle.rs"]
mod brittle;
#[path = "../random/deploy.rs"]
mod deploy;
#[path = "../random/fate.rs"]
mod fate;
#[path = "../random/harness.rs"]
mod harness;
#[path = "../random/history.rs"]
mod history;
#[path = "../random/interpret.rs"]
mod interpret;
#[path = "../random/program.rs"]
mod program;
#[path = "../random/trial.rs"]
mod trial;
#[path = "../random/world.rs"]
mod world;

mod chance;
mod cut;
mod disk;
mod process;
mod sweep;
mod voyage;
