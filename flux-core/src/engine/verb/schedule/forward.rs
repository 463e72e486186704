//! Schedules that stand at a moment which the clock was set back behind.

use std::sync::Arc;
use std::time::Duration;

use super::stored;
use crate::clock::Timestamp;
use crate::engine::kernel::Kernel;
use crate::store::{ScheduleChange, ScheduleRecord, StoreError};

/// Clocks of processes are not read at the same moment.
const SLACK: Duration = Duration::from_secs(2);

/// Lets the schedules of this program that stand later than the clock accounts for fire at their next moment by the clock.
/// A moment that has fired does not fire again: its execution exists.
pub(crate) async fn bring_forward(kernel: &Arc<Kernel>) -> Result<(), StoreError> {
    let now = kernel.clock.now();
    for schedule in kernel.store.schedules().await? {
        if kernel.registry.newest(&schedule.workflow).is_err() {
            continue;
        }
        let Some(next) = earlier(&schedule, now) else {
            continue;
        };
        tracing::info!(target: "flux::schedule", schedule = %schedule.id, next_at = %next, "a schedule is brought forward: the clock was set back");
        let change = ScheduleChange {
            next_at: Some(Some(next)),
            ..ScheduleChange::default()
        };
        kernel.store.change_schedule(&schedule.id, change).await?;
    }
    Ok(())
}

/// Its next moment, if it stands at a later one.
fn earlier(schedule: &ScheduleRecord, now: Timestamp) -> Option<Timestamp> {
    let stands_at = schedule.next_at?;
    let spec = stored(schedule).ok()?.spec;
    let latest = spec.next_after(now.after(SLACK))?;
    (stands_at > latest).then(|| spec.next_after(now))?
}
