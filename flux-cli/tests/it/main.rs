//! The command line as its users see it: what it prints, where, and how it ends.

#![allow(
    clippy::pedantic,
    clippy::unwrap_used,
    reason = "tests are written to be read, and one that cannot go on fails"
)]

mod support;

mod db;
mod exit_codes;
mod help;
mod ids;
mod init;
mod list;
mod obstacles;
mod queue;
mod replay;
mod result;
mod run;
mod schedule;
mod show;
mod state;
mod status;
mod steer;
mod stores;
mod streams;
mod tree;
mod worker;
mod workflow;
