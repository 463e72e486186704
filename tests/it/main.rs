//! What a user sees, a module per feature.

mod approval;
mod children;
mod concurrency;
mod divergence;
mod fallbacks;
mod fan_out;
mod first_steps;
mod greeting;
mod orders;
mod pauses;
mod resume_failed;
mod support;
mod time_limits;
mod workflow_attempts;
