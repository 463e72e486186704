//! What a user sees, a module per feature.

mod first_steps;
