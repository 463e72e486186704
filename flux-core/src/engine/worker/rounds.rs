//! The rounds of a worker: claim what is ready, then rest until there may be more.

use std::sync::Arc;

use tokio::sync::watch;

use super::crew::Crew;
use super::lookout::Lookout;
use super::settings::WorkerSettings;
use crate::clock::Timestamp;
use crate::engine::Engine;
use crate::engine::driver::stop;
use crate::engine::kernel::drivers::Stopping;
use crate::engine::kernel::log;
use crate::engine::kernel::present::Present;
use crate::engine::kernel::{AFTER_FAULT, Kernel};
use crate::engine::ownership::audit::{AUDIT_EVERY, Audit, AuditReason};
use crate::engine::ownership::{ClaimedWork, claim_ready, ensure_settling};
use crate::engine::verb::catalog::describe_workflows;
use crate::engine::verb::schedule::{bring_forward, declare, fire_due};
use crate::error::Error;
use crate::store::{LastSetBack, Runnable, StoreError, Work, WorkRequest};

/// At most this many are claimed in one transaction, so that none is long.
const BATCH: usize = 256;

pub(super) async fn work(
    kernel: Arc<Kernel>,
    settings: WorkerSettings,
    mut stopping: watch::Receiver<bool>,
    present: Present,
) {
    let code = kernel.registry.runnables();
    introduce(&kernel, &mut stopping).await;
    let mut calls = kernel.workers.calls();
    let mut closing = kernel.workers.closing();
    let mut audit = Audit::new(AuditReason::Routine);
    let mut next_audit = tokio::time::Instant::now() + AUDIT_EVERY;
    let mut lookout = Lookout::new();
    let mut crew = Crew::new(&kernel);
    while !*stopping.borrow_and_update() && closing.borrow_and_update().is_none() {
        crew.reap();
        if tokio::time::Instant::now() >= next_audit {
            next_audit = tokio::time::Instant::now() + AUDIT_EVERY;
            if let Err(error) = audit.look(&kernel).await {
                tracing::warn!(%error, "a worker could not compare what it owns with what it drives");
            }
            ensure_settling(&kernel);
        }
        lookout.look_if_due(&kernel).await;
        calls.borrow_and_update();
        let changed = kernel.store.changed();
        let jumped = kernel.time.jumped();
        let next = match round(&kernel, &settings, &code, &mut crew).await {
            Ok(NextRound::AtOnce) => continue,
            Ok(NextRound::At(moment)) => moment,
            Err(error) => {
                tracing::warn!(%error, "a worker could not look for work; it tries again");
                Some(kernel.clock.now().after(AFTER_FAULT))
            }
        };
        let due = due(&kernel, next);
        tokio::select! {
            biased;
            () = told(&mut stopping) => {}
            _ = closing.changed() => {}
            () = crew.next_ended() => {}
            _ = calls.changed() => {}
            () = changed => {}
            () = due => {}
            () = tokio::time::sleep_until(next_audit.min(lookout.next())) => {}
            () = jumped => {}
        }
    }
    drop(present);
    if let Err(error) = say_what_is_served(&kernel).await {
        tracing::warn!(%error, "a worker could not say that it takes nothing more");
    }
    retire(&kernel, &settings, &mut crew).await;
}

/// Writes down what others are to know of this program, however often the store fails.
async fn introduce(kernel: &Arc<Kernel>, stopping: &mut watch::Receiver<bool>) {
    while let Err(error) = write_down(kernel).await {
        tracing::warn!(%error, "the workflows of this program and their schedules could not be written down");
        tokio::select! {
            () = told(stopping) => return,
            () = tokio::time::sleep(AFTER_FAULT) => {}
        }
    }
}

/// The schedules that the code declares, what it is, and what workers here take.
async fn write_down(kernel: &Arc<Kernel>) -> Result<(), Error> {
    declare(&Engine::of(kernel)).await?;
    compare_clock(kernel).await?;
    bring_forward(kernel).await?;
    describe_workflows(kernel).await?;
    Ok(say_what_is_served(kernel).await?)
}

async fn say_what_is_served(kernel: &Kernel) -> Result<(), StoreError> {
    let (owner, code) = (kernel.owner().await?, kernel.registry.runnables());
    let saying = kernel
        .workers
        .say_what_is_served(&*kernel.store, owner, code);
    saying.await
}

/// Notices that the clock was set back where no process lives that saw it.
async fn compare_clock(kernel: &Arc<Kernel>) -> Result<(), StoreError> {
    let now = kernel.clock.now();
    let Some(LastSetBack { step, .. }) = kernel.store.compare_clock(now).await? else {
        return Ok(());
    };
    kernel.time.learn(step.by);
    if step.at == now {
        tracing::warn!(by = ?step.by, "the clock was set back, and no program that saw it runs any more: some waits take longer");
    }
    Ok(())
}

/// Resolves when the worker is told to stop. One whose handle was dropped never is: that it cannot be told any more is no
/// news, and must not wake it again and again.
async fn told(stopping: &mut watch::Receiver<bool>) {
    if stopping.changed().await.is_err() {
        std::future::pending::<()>().await;
    }
}

/// Resolves when the next moment has come.
async fn due(kernel: &Kernel, next: Option<Timestamp>) {
    match next {
        Some(moment) => kernel.time.until(moment).await,
        None => std::future::pending().await,
    }
}

/// What follows a round.
enum NextRound {
    /// There may be more.
    AtOnce,
    /// Nothing by itself before this moment.
    At(Option<Timestamp>),
}

async fn round(
    kernel: &Arc<Kernel>,
    settings: &WorkerSettings,
    code: &[Runnable],
    crew: &mut Crew,
) -> Result<NextRound, StoreError> {
    tell_of_set_back(kernel).await?;
    let next_fire = fire_due(kernel, code).await?;
    let room = settings.concurrency.saturating_sub(crew.len());
    ensure_settling(kernel);
    let reading = kernel.clock.read();
    let now = reading.at();
    let request = WorkRequest {
        worker: kernel.owner().await?,
        now: reading,
        limit: room.min(BATCH),
        code: code.to_vec(),
        queues: settings.queues.clone(),
        driving: crew.by_queue(),
        except: crew.quarantine.inmates(now),
        max_takeovers: kernel.settings.max_recoveries,
        only: None,
    };
    let limit = request.limit;
    if limit == 0 {
        let next = kernel.store.claim_ready(request).await?.next;
        let next = make_room(kernel, crew, next, next_fire);
        return Ok(NextRound::At(
            next.into_iter().chain(crew.quarantine.next(now)).min(),
        ));
    }
    crew.wanting = None;
    let ClaimedWork { claimed, rest } = claim_ready(kernel, request).await?;
    let Work {
        mut queued,
        held,
        next,
        ..
    } = rest;
    for (id, reason) in held {
        log::held(&id, &reason);
        kernel.waiters.ring(&id);
    }
    let is_full = claimed.len() >= limit;
    for claimed in claimed {
        let queued = queued.remove(&claimed.record.key);
        crew.take_in(claimed, queued).await;
    }
    if is_full {
        return Ok(NextRound::AtOnce);
    }
    let next = next
        .into_iter()
        .chain(next_fire)
        .chain(crew.quarantine.next(now))
        .min();
    Ok(NextRound::At(next))
}

/// Tells the store that the clock was set back, so that those who sleep keep the length of their waits, and lets schedules
/// fire from the present moment on.
async fn tell_of_set_back(kernel: &Arc<Kernel>) -> Result<(), StoreError> {
    while let Some(step) = kernel.time.take_untold() {
        let told = match kernel.store.clock_set_back(step).await {
            Ok(()) => bring_forward(kernel).await,
            Err(error) => Err(error),
        };
        if let Err(error) = told {
            kernel.time.put_untold(step);
            return Err(error);
        }
    }
    Ok(())
}

/// The worker is full. Where something is ready for it, what only waits makes room, now and as long as the worker is full:
/// its end starts the next round.
fn make_room(
    kernel: &Arc<Kernel>,
    crew: &mut Crew,
    ready_at: Option<Timestamp>,
    next_fire: Option<Timestamp>,
) -> Option<Timestamp> {
    let is_ready = ready_at.is_some_and(|ready| ready <= kernel.clock.now());
    if !is_ready {
        crew.wanting = None;
        return ready_at.into_iter().chain(next_fire).min();
    }
    if crew.wanting.is_none() {
        crew.wanting = Some(kernel.workers.want_room());
    }
    kernel.drivers.ask_to_rest();
    next_fire
}

/// Stops gracefully. What `start` began in this engine stops with its last worker.
async fn retire(kernel: &Arc<Kernel>, settings: &WorkerSettings, crew: &mut Crew) {
    let which = if kernel.workers.are_present() {
        Stopping::These(crew.ids())
    } else {
        Stopping::Unattended
    };
    let patience = kernel.workers.patience(settings.grace);
    stop(kernel, &which, patience).await;
    crew.reap();
}
