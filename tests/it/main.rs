//! What a user sees, a module per feature.

#![allow(
    clippy::unwrap_used,
    reason = "a test that cannot go on fails, helpers of tests included"
)]

mod approval;
mod children;
mod concurrency;
mod divergence;
mod first_steps;
mod orders;
mod pauses;
mod resume_failed;
mod support;
mod workflow_attempts;
