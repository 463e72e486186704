//! What a user sees, a module per feature.

#![allow(
    clippy::pedantic,
    clippy::complexity,
    clippy::unwrap_used,
    reason = "tests are written to be read, and one that cannot go on fails"
)]

mod always_ready;
mod appointments;
mod at_11;
mod at_17;
mod at_5;
mod at_6;
mod at_7;
mod at_most_once;
mod at_most_once_children;
mod attempts;
mod births;
mod blocking;
mod bodies;
mod body_transactions;
mod calls;
mod cancel;
mod catalog;
mod child_policy;
mod children;
mod clocks;
mod commits;
mod concurrency;
mod damage;
mod decisions;
mod deep_children;
mod divergence;
mod driver_faults;
mod drop_sweep;
mod engines;
mod evolution;
mod fairness;
mod fallbacks;
mod fan_out;
mod fault_sweep;
mod faults;
mod first_steps;
mod foreign;
mod greeting;
mod identity;
mod limits;
mod logging;
mod moved_lines;
mod obstacles;
mod on_exit;
mod onlookers;
mod open_arrivals;
mod orders;
mod ownership;
mod pauses;
mod phases;
mod plain_calls;
mod processes;
mod promises;
mod queues;
mod races;
mod replays;
mod requests;
mod requests_to_busy;
mod resting;
mod resume_failed;
mod robust;
mod rollback;
mod rolled_back;
mod rounds;
mod schedules;
mod signal_order;
mod signals;
mod standoffs;
mod starts_in_bodies;
mod steps;
mod stopping;
mod support;
mod sweeps;
mod terminate;
mod time_limits;
mod transactions;
mod typed_errors;
mod unordered;
mod unread_commands;
mod values;
mod versions;
mod views;
mod voyage;
mod workers;
mod workflow_attempts;
