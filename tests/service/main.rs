//! `examples/service.rs` as a process: over HTTP, with signals and kills, beside a second one, and under load while it is
//! restarted again and again.
//!
//! `FLUX_SOAK=2 cargo test --features cli --test service` runs the load for two minutes.

#![cfg(unix)]
#![allow(
    clippy::pedantic,
    clippy::unwrap_used,
    reason = "tests are written to be read, and one that cannot continue fails"
)]

mod ends;
mod excerpt;
mod http;
mod load;
mod orders;
mod service;
mod shop;
