//! Looks for executions that no worker takes, because none that lives has the code or because they wait for each other:
//! nobody else would tell.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::clock::Timestamp;
use crate::engine::kernel::Kernel;
use crate::engine::placement::standoff::look_for_standoffs;
use crate::error::Error;
use crate::execution::{Obstacle, ObstacleKind, Status};
use crate::store::{ExecutionRecord, Filter, Serves, StoreError};

/// How long a worker runs before it looks: others that start with it may have the code.
const FIRST_LOOK: Duration = Duration::from_secs(5);

/// How often it looks.
const LOOK_EVERY: Duration = Duration::from_secs(30);

/// How many executions of a sort it looks at.
const LOOKED_AT: usize = 200;

/// When the next look is due.
#[derive(Debug)]
pub(super) struct Lookout(Instant);

impl Lookout {
    pub(super) fn new() -> Self {
        Self(Instant::now() + FIRST_LOOK)
    }

    /// When it is to look next.
    pub(super) fn next(&self) -> Instant {
        self.0
    }

    /// Looks, if it is time.
    pub(super) async fn look_if_due(&mut self, kernel: &Arc<Kernel>) {
        if Instant::now() < self.0 {
            return;
        }
        self.0 = Instant::now() + LOOK_EVERY;
        if let Err(error) = look(kernel).await {
            tracing::debug!(%error, "a worker could not look for executions that no worker has code for");
        }
    }
}

/// Writes down, beside what is ready and taken by no worker, which code it waits for.
async fn look(kernel: &Kernel) -> Result<(), StoreError> {
    look_for_standoffs(kernel).await?;
    let now = kernel.clock.now();
    let waiting = waiting(kernel, now).await?;
    if waiting.is_empty() {
        return Ok(());
    }
    let workers = kernel.store.workers().await?.into_iter();
    let alive = workers.filter(|worker| worker.is_alive);
    let serves: Vec<Serves> = alive.filter_map(|worker| worker.serves).collect();
    for record in waiting {
        if let Some(obstacle) = lacks_code(kernel, &serves, &record, now) {
            let (key, epoch) = (record.key, record.epoch);
            kernel.keep_obstacle(key, epoch, &obstacle).await;
        }
    }
    Ok(())
}

/// What could be taken now and has no living owner.
async fn waiting(kernel: &Kernel, now: Timestamp) -> Result<Vec<ExecutionRecord>, StoreError> {
    let started = kernel.store.orphans(now, LOOKED_AT).await?.into_iter();
    let pending = Filter {
        statuses: vec![Status::Pending],
        limit: LOOKED_AT,
        ..Filter::default()
    };
    let pending = kernel.store.executions(pending).await?.into_iter();
    let is_due = |record: &ExecutionRecord| {
        let is_ready = record.ready_at.is_none_or(|ready| ready <= now);
        is_ready && (record.owner.is_none() || record.status != Status::Pending)
    };
    Ok(started.chain(pending).filter(is_due).collect())
}

/// Which code an execution waits for that no living worker has; nothing where one has it, or where that is written down
/// already. A worker that serves other queues has the code: that is no fault of a deploy.
fn lacks_code(
    kernel: &Kernel,
    serves: &[Serves],
    record: &ExecutionRecord,
    now: Timestamp,
) -> Option<Obstacle> {
    let has_code = |serves: &Serves| serves.takes(&record.workflow, record.version, None);
    if serves.iter().any(has_code) {
        return None;
    }
    let owner = kernel.owner_if_any();
    let obstacle = match kernel.registry.for_execution(record, None) {
        Ok(_) => return None,
        Err(error @ Error::VersionMismatch { .. }) => Obstacle::of(&error, owner, now)?,
        Err(_) => Obstacle::missing_code(&record.workflow, owner, now),
    };
    let noted = Obstacle::read(record.obstacle.as_ref()).map(|noted| noted.kind());
    let is_news = match noted {
        // What a process met in its code tells more than that none has it now.
        Some(ObstacleKind::MissingCode | ObstacleKind::OtherVersion) | None => {
            noted != Some(obstacle.kind())
        }
        Some(_) => false,
    };
    is_news.then_some(obstacle)
}
