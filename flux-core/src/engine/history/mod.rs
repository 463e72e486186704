//! Histories, read and replayed: page by page, in deliveries, and without what a rewind has taken back.

pub(crate) mod pool;
pub(crate) mod reader;
pub(crate) mod replay_loop;
pub(crate) mod rewind_plan;
