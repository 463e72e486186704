//! Random programs: whatever a workflow is made of, and wherever it is cut off, live run and replays agree.
//!
//! `FLUX_SEED` tries one seed again, `FLUX_PROGRAM` one program as a failure prints it, and `FLUX_SOAK` goes on for
//! that many minutes.

#![allow(
    clippy::pedantic,
    clippy::complexity,
    clippy::unwrap_used,
    reason = "tests are written to be read, and one that cannot go on fails"
)]
#![allow(dead_code, reason = "some modules are shared with the crash suite")]

mod agree;
mod brittle;
mod deploy;
mod fate;
mod faults;
mod fixed;
mod harness;
mod heir;
mod history;
mod interpret;
mod moved;
mod program;
mod trial;
#[path = "../it/support/trip.rs"]
mod trip;
mod two;
mod world;
