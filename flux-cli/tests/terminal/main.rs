//! Sessions in a terminal: what is drawn there, and what keys do.

#![cfg(unix)]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod asking;
mod colors;
mod following;
mod terminal;
mod width;
