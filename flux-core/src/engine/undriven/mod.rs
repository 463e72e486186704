//! What is done to executions that have no driver here: they are ended, opened again, waited for.

pub(crate) mod close;
mod hold;
mod reopen;
mod settled;

pub(crate) use hold::{hold_faulty, hold_idle};
pub(crate) use reopen::{reopen, take_off_hold};
pub(crate) use settled::wait_settled;
