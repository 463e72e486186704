//! What is done to executions that have no driver here: they are ended, opened again, waited for.

pub(crate) mod close;
mod reopen;
mod turn;
mod wait;
