//! What users ask an engine for: a file or folder for each verb.

mod cancel;
pub(crate) mod catalog;
pub(crate) mod chosen;
mod find;
mod list;
mod pause;
mod queue;
mod read;
mod recover;
mod replay;
pub(crate) mod resume;
pub(crate) mod schedule;
pub(crate) mod shutdown;
mod signal;
pub(crate) mod start;
mod subscribe;
mod terminate;
mod wait;
pub(crate) mod workflow;

pub use list::List;
pub use queue::Queue;
pub use recover::Recovered;
pub use replay::Replayed;
pub use resume::Resume;
pub use schedule::{NewSchedule, ReleaseKind, Schedule, SlotRelease};
pub use start::{Run, Start};
pub use subscribe::Events;
pub use workflow::{OnEngine, Workflow};
