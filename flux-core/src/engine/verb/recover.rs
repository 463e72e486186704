//! `recover`: goes on with everything that crashed.

use std::sync::Arc;
use std::time::Duration;

use crate::engine::driver::{Begin, Intent};
use crate::engine::driver::{close_and_poke, launch};
use crate::engine::kernel::Kernel;
use crate::engine::kernel::log;
use crate::engine::kernel::refuse::refuse_inside_workflow;
use crate::engine::ownership::claim_if_free;
use crate::engine::undriven::close::Close;
use crate::engine::{Engine, ownership};
use crate::error::Error;
use crate::execution::{Execution, Status};
use crate::id::ExecutionId;
use crate::store::{ExecutionRecord, MessageKind};

/// At most this many executions are taken up at once.
const AT_ONCE: usize = 256;

/// How long is waited for the store to hear of what this engine has dropped.
const STRAYS: Duration = Duration::from_secs(1);

/// What [`Engine::recover`] did.
#[derive(Debug, Default)]
#[must_use = "`failures` tells what could not be driven"]
pub struct Recovered {
    /// The executions that were taken up, as they then settled: finished or paused.
    pub executions: Vec<Execution>,
    /// The executions that could not be driven, and why; they are as they were.
    pub failures: Vec<(ExecutionId, Error)>,
}

/// What this engine drove until its future was dropped belongs to it until the store knows of that.
async fn settle_what_was_dropped(kernel: &Arc<Kernel>) {
    for active in kernel.drivers.abandoned() {
        active.gone().await;
    }
    ownership::settled(kernel, STRAYS).await;
}

impl Engine {
    /// Continues every execution whose process died, until each has finished or paused; also those whose `run` or `resume` was
    /// dropped in this process.
    ///
    /// It answers no pause and tries nothing again that failed: it does what would have happened without the
    /// crash. Executions that somebody alive drives are left alone, and so are children, which their parents take
    /// up. One that cannot be driven does not hinder the others.
    ///
    /// # Errors
    ///
    /// Only when the store cannot be read.
    pub async fn recover(&self) -> Result<Recovered, Error> {
        refuse_inside_workflow("engine.recover()", "call it from outside")?;
        settle_what_was_dropped(&self.kernel).await;
        let mut recovered = Recovered::default();
        let mut seen = std::collections::BTreeSet::new();
        loop {
            let now = self.kernel.clock.now();
            let orphans = self.kernel.store.orphans(now, AT_ONCE + seen.len()).await?;
            let fresh: Vec<_> = orphans
                .into_iter()
                .filter(|record| seen.insert(record.id.clone()))
                .filter(|record| !self.kernel.drivers.contains(&record.id))
                .collect();
            if fresh.is_empty() {
                return Ok(recovered);
            }
            let driving = fresh.into_iter().map(|record| self.recover_one(record));
            for (id, result) in futures::future::join_all(driving).await {
                match result {
                    Ok(Some(execution)) => recovered.executions.push(execution),
                    Ok(None) => {}
                    Err(error) => {
                        tracing::debug!(execution_id = %id, %error, "an execution could not be recovered");
                        recovered.failures.push((id, error));
                    }
                }
            }
        }
    }

    async fn recover_one(
        &self,
        record: ExecutionRecord,
    ) -> (ExecutionId, Result<Option<Execution>, Error>) {
        let id = record.id.clone();
        (id, self.try_recover(record).await)
    }

    async fn try_recover(&self, record: ExecutionRecord) -> Result<Option<Execution>, Error> {
        if self.has_living_parent(&record).await? {
            return Ok(None);
        }
        if self.close_if_wanted(&record).await? {
            return Ok(None);
        }
        let code = match self.kernel.registry.for_execution(&record, None) {
            Ok(code) => code,
            Err(error) => {
                let (key, epoch) = (record.key, record.epoch);
                self.kernel.note_obstacle(key, epoch, &error).await;
                log::cannot_continue(&record.id, &record.workflow, &error);
                return Err(error);
            }
        };
        let Some(claimed) = claim_if_free(&self.kernel, &record.id).await? else {
            return Ok(None);
        };
        let begin = Begin::claimed(claimed, Intent::Recover);
        let Ok(driving) = launch(&self.kernel, code, record.id.clone(), begin, None) else {
            return Ok(None);
        };
        match driving.settled().await? {
            Ok(snapshot) => Execution::new(self.clone(), snapshot).map(Some),
            Err(_) => Ok(None),
        }
    }

    /// Ends an execution that was to be terminated when its process died: no code is needed for that.
    async fn close_if_wanted(&self, record: &ExecutionRecord) -> Result<bool, Error> {
        let inbox = self.kernel.store.inbox(record.key).await?;
        match Close::wanted(record, &inbox) {
            Some(close) => close_and_poke(&self.kernel, &record.id, close).await,
            None => Ok(false),
        }
    }

    /// Whether a parent will take this one up: it is running, too, and has not let go of it.
    async fn has_living_parent(&self, record: &ExecutionRecord) -> Result<bool, Error> {
        let Some(parent) = &record.parent else {
            return Ok(false);
        };
        let parent = self.kernel.store.execution(parent).await?;
        let lives = parent.is_some_and(|parent| parent.status == Status::Running);
        if !lives {
            return Ok(false);
        }
        let inbox = self.kernel.store.inbox(record.key).await?;
        let lets_go = |kind| {
            matches!(
                kind,
                MessageKind::Cancel | MessageKind::Terminate | MessageKind::Abandon
            )
        };
        Ok(!inbox.iter().any(|message| lets_go(message.kind)))
    }
}
