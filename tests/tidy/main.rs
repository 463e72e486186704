//! What holds for the workspace as a whole, and no compiler checks.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod circles;
mod dependencies;
mod exit_codes;
mod layers;
mod paths;
mod type_names;
