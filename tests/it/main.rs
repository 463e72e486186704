//! What a user sees, a module per feature.

#![allow(
    clippy::unwrap_used,
    reason = "a test that cannot go on fails, helpers of tests included"
)]

mod approval;
mod attempts;
mod children;
mod commits;
mod concurrency;
mod divergence;
mod evolution;
mod fallbacks;
mod fan_out;
mod faults;
mod first_steps;
mod foreign;
mod greeting;
mod identity;
mod limits;
mod orders;
mod pauses;
mod plain_calls;
mod races;
mod resume_failed;
mod signals;
mod support;
mod time_limits;
mod transactions;
mod values;
mod versions;
mod views;
mod workflow_attempts;
