//! What a user sees, a module per feature.

#![allow(
    clippy::pedantic,
    clippy::complexity,
    clippy::unwrap_used,
    reason = "tests are written to be read, and one that cannot go on fails"
)]

mod approval;
mod attempts;
mod bodies;
mod children;
mod commits;
mod concurrency;
mod decisions;
mod divergence;
mod engines;
mod evolution;
mod fallbacks;
mod fan_out;
mod faults;
mod first_steps;
mod foreign;
mod greeting;
mod identity;
mod limits;
mod logging;
mod orders;
mod pauses;
mod plain_calls;
mod processes;
mod races;
mod resting;
mod resume_failed;
mod rounds;
mod signals;
mod steps;
mod support;
mod sweeps;
mod time_limits;
mod transactions;
mod values;
mod versions;
mod views;
mod workflow_attempts;
