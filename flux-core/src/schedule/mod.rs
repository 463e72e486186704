//! Schedules: when executions start by themselves. Plain arithmetic on moments that are given; no store and no clock.
//!
//! A **slot** is a moment at which a schedule fires. Every worker computes the same slots, the same execution id for each and
//! the same jitter, so that two that look at once start one execution and not two.

mod due;
mod policy;
mod slot;
mod spec;

pub use flux_cron::{Cron, Every, ScheduleError, Spec, Zone};

pub use due::Due;
pub use policy::{CatchUp, Overlap};
pub use slot::slot_id;
pub use spec::ScheduleSpec;
