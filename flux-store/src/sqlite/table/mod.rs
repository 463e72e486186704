//! The tables, one module for each, and what they share.

pub(crate) mod catalog;
pub(crate) mod execution;
pub(crate) mod find;
pub(crate) mod history;
pub(crate) mod inbox;
pub(crate) mod lane;
pub(crate) mod line;
pub(crate) mod list;
pub(crate) mod published;
pub(crate) mod queue;
pub(crate) mod row;
pub(crate) mod schedule;
pub(crate) mod set_back;
