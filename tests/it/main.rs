//! What a user sees, a module per feature.

mod concurrency;
mod divergence;
mod first_steps;
mod resume_failed;
mod support;
