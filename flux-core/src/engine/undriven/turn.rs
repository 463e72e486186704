//! Waiting for one's turn without a worker: whoever `run`s an execution that has to wait drives it when it may start.

use std::sync::Arc;

use crate::engine::Engine;
use crate::engine::driver::launch;
use crate::engine::driver::{Begin, Intent};
use crate::engine::kernel::driving::Driving;
use crate::engine::kernel::{AFTER_FAULT, Kernel};
use crate::engine::ownership::claim_turn;
use crate::error::Error;
use crate::execution::{Snapshot, Status};
use crate::id::ExecutionId;
use crate::store::{ExecutionRecord, Runnable, StoreError, WorkRequest};

impl Engine {
    /// Waits until an execution has settled, whoever drives it; while it is `Pending` and this engine has no worker,
    /// this caller drives it as soon as it may start.
    pub(crate) async fn wait_turn_and_settled(&self, id: &ExecutionId) -> Result<Snapshot, Error> {
        match self.kernel().turn(id).await? {
            Some(driving) => match driving.settled().await? {
                Ok(snapshot) => Ok(snapshot),
                Err(_) => Err(self.kernel().not_found(id)),
            },
            None => self.wait_settled(id).await,
        }
    }

    /// Lets an execution begin when it may, without anybody waiting for it.
    pub(crate) fn begin_in_turn(&self, id: ExecutionId) {
        Arc::clone(self.kernel()).begin_in_turn(id);
    }
}

impl Kernel {
    /// See [`Engine::begin_in_turn`].
    pub(crate) fn begin_in_turn(self: Arc<Self>, id: ExecutionId) {
        tokio::spawn(async move {
            loop {
                match self.turn(&id).await {
                    Ok(Some(driving)) => driving.into_guard().detach(),
                    Ok(None) => {}
                    Err(error @ Error::Store(_)) => {
                        tracing::warn!(execution_id = %id, %error, "could not check whether the execution may start; retrying");
                        self.time.pass(AFTER_FAULT).await;
                        continue;
                    }
                    Err(error) => {
                        tracing::error!(execution_id = %id, %error, "an execution that may start now could not be started");
                    }
                }
                return;
            }
        });
    }

    /// Waits until a `Pending` execution may start, and drives it; nothing where somebody else sees to that.
    async fn turn(self: &Arc<Self>, id: &ExecutionId) -> Result<Option<Driving>, Error> {
        let mut calls = self.workers.calls();
        loop {
            calls.borrow_and_update();
            let changed = self.store.changed();
            let jumped = self.time.jumped();
            let record = self.record(id).await?;
            if record.status != Status::Pending {
                return Ok(None);
            }
            // A worker of this engine sees to it, for as long as there is one.
            let mut next = None;
            if !self.workers.see_to(&record)
                && let Some(claiming) = self.drivers.begin_claim(id)
            {
                let code = self.registry.for_execution(&record, None)?;
                let request = self.request(&record).await?;
                let work = claim_turn(self, claiming, request).await?;
                if let Some(claimed) = work.claimed.into_iter().next() {
                    let begin = Begin::claimed(claimed, Intent::Recover);
                    // Refused where somebody in this process was faster.
                    return Ok(launch(self, code, id.clone(), begin, None).ok());
                }
                next = work.rest.next;
            }
            let due = async {
                match next {
                    Some(moment) => self.time.until(moment).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                _ = calls.changed() => {}
                () = changed => {}
                () = due => {}
                () = jumped => {}
            }
        }
    }

    async fn request(&self, record: &ExecutionRecord) -> Result<WorkRequest, StoreError> {
        Ok(WorkRequest {
            worker: self.owner().await?,
            now: self.clock.read(),
            limit: 1,
            code: vec![Runnable {
                workflow: Arc::clone(&record.workflow),
                versions: record.version..=record.version,
            }],
            queues: None,
            driving: std::collections::BTreeMap::new(),
            except: std::collections::BTreeSet::new(),
            max_takeovers: self.settings.max_recoveries,
            only: Some(record.key),
        })
    }
}
