//! What a user sees, a module per feature.

mod children;
mod concurrency;
mod divergence;
mod first_steps;
mod pauses;
mod resume_failed;
mod support;
