//! What callers get back.

mod calls;
mod counting;
mod handle;
mod obstacle;
mod snapshot;
mod tasks;
mod unread;
mod view;
mod waiting;

pub use crate::status::{Status, UnknownStatus};

pub use calls::{CallInfo, CallKind, CallStatus};
pub(crate) use counting::{Chain, Runs};
pub use handle::Handle;
pub use obstacle::{Obstacle, ObstacleKind};
pub(crate) use snapshot::Snapshot;
pub use tasks::{TaskInfo, TaskStatus};
pub use unread::UnreadSignal;
pub use view::{Execution, NotCompleted};
pub use waiting::PausePoint;
pub(crate) use waiting::Waiting;
