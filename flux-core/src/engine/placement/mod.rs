//! Where new executions go before any code runs: their workflow, queue, gate and keys.

pub(crate) mod place;
pub(crate) mod queued;
pub(crate) mod stand_in;
pub(crate) mod standoff;
