//! The rounds of a worker: claim what is ready, then rest until there may be more.

use std::sync::Arc;

use tokio::sync::watch;

use super::WorkerSettings;
use super::crew::Crew;
use super::lookout::Lookout;
use crate::clock::Timestamp;
use crate::engine::kernel::log;
use crate::engine::kernel::present::Present;
use crate::engine::ownership::ClaimedWork;
use crate::engine::ownership::audit::{AUDIT_EVERY, Audit, AuditReason};
use crate::engine::verb::schedule::{bring_forward, declare, fire_due};
use crate::engine::verb::shutdown::Stopping;
use crate::engine::{AFTER_FAULT, Engine, Inner};
use crate::error::Error;
use crate::store::{LastSetBack, Runnable, StoreError, Work, WorkRequest};

/// At most this many are claimed in one transaction, so that none is long.
const BATCH: usize = 256;

pub(super) async fn work(
    engine: Arc<Inner>,
    settings: WorkerSettings,
    mut stopping: watch::Receiver<bool>,
    present: Present,
) {
    let code = engine.registry.runnables();
    introduce(&engine, &mut stopping).await;
    let mut calls = engine.workers.calls();
    let mut closing = engine.workers.closing();
    let mut audit = Audit::new(AuditReason::Routine);
    let mut next_audit = tokio::time::Instant::now() + AUDIT_EVERY;
    let mut lookout = Lookout::new();
    let mut crew = Crew::new(&engine);
    while !*stopping.borrow_and_update() && closing.borrow_and_update().is_none() {
        crew.reap();
        if tokio::time::Instant::now() >= next_audit {
            next_audit = tokio::time::Instant::now() + AUDIT_EVERY;
            if let Err(error) = audit.look(&engine).await {
                tracing::warn!(%error, "a worker could not compare what it owns with what it drives");
            }
        }
        lookout.look_if_due(&engine).await;
        calls.borrow_and_update();
        let changed = engine.store.changed();
        let jumped = engine.time.jumped();
        let next = match round(&engine, &settings, &code, &mut crew).await {
            Ok(NextRound::AtOnce) => continue,
            Ok(NextRound::At(moment)) => moment,
            Err(error) => {
                tracing::warn!(%error, "a worker could not look for work; it tries again");
                Some(engine.clock.now().after(AFTER_FAULT))
            }
        };
        let due = due(&engine, next);
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
    if let Err(error) = engine.say_what_is_served().await {
        tracing::warn!(%error, "a worker could not say that it takes nothing more");
    }
    retire(&engine, &settings, &mut crew).await;
}

/// Writes down what others are to know of this program, however often the store fails.
async fn introduce(engine: &Arc<Inner>, stopping: &mut watch::Receiver<bool>) {
    while let Err(error) = write_down(engine).await {
        tracing::warn!(%error, "the workflows of this program and their schedules could not be written down");
        tokio::select! {
            () = told(stopping) => return,
            () = tokio::time::sleep(AFTER_FAULT) => {}
        }
    }
}

/// The schedules that the code declares, what it is, and what workers here take.
async fn write_down(engine: &Arc<Inner>) -> Result<(), Error> {
    declare(&Engine::of(engine)).await?;
    compare_clock(engine).await?;
    bring_forward(engine).await?;
    engine.describe_workflows().await?;
    Ok(engine.say_what_is_served().await?)
}

/// Notices that the clock was set back where no process lives that saw it.
async fn compare_clock(engine: &Arc<Inner>) -> Result<(), StoreError> {
    let now = engine.clock.now();
    let Some(LastSetBack { step, .. }) = engine.store.compare_clock(now).await? else {
        return Ok(());
    };
    engine.time.learn(step.by);
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
async fn due(engine: &Inner, next: Option<Timestamp>) {
    match next {
        Some(moment) => engine.time.until(moment).await,
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
    engine: &Arc<Inner>,
    settings: &WorkerSettings,
    code: &[Runnable],
    crew: &mut Crew,
) -> Result<NextRound, StoreError> {
    tell_of_set_back(engine).await?;
    let next_fire = fire_due(engine, code).await?;
    let room = settings.concurrency.saturating_sub(crew.len());
    engine.ledger.ensure_settling(engine);
    let reading = engine.clock.read();
    let now = reading.at();
    let request = WorkRequest {
        worker: engine.owner().await?,
        now: reading,
        limit: room.min(BATCH),
        code: code.to_vec(),
        queues: settings.queues.clone(),
        driving: crew.by_queue(),
        except: crew.quarantine.inmates(now),
        max_takeovers: engine.max_recoveries,
        only: None,
    };
    let limit = request.limit;
    if limit == 0 {
        let next = engine.store.claim_ready(request).await?.next;
        let next = make_room(engine, crew, next, next_fire);
        return Ok(NextRound::At(
            next.into_iter().chain(crew.quarantine.next(now)).min(),
        ));
    }
    crew.wanting = None;
    let ClaimedWork { claimed, rest } = engine.acquire_ready(request).await?;
    let Work {
        mut queued,
        held,
        next,
        ..
    } = rest;
    for (id, reason) in held {
        log::held(&id, &reason);
        engine.waiters.ring(&id);
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
async fn tell_of_set_back(engine: &Arc<Inner>) -> Result<(), StoreError> {
    while let Some(step) = engine.time.take_untold() {
        let told = match engine.store.clock_set_back(step).await {
            Ok(()) => bring_forward(engine).await,
            Err(error) => Err(error),
        };
        if let Err(error) = told {
            engine.time.put_untold(step);
            return Err(error);
        }
    }
    Ok(())
}

/// The worker is full. Where something is ready for it, what only waits makes room, now and as long as the worker is full:
/// its end starts the next round.
fn make_room(
    engine: &Arc<Inner>,
    crew: &mut Crew,
    ready_at: Option<Timestamp>,
    next_fire: Option<Timestamp>,
) -> Option<Timestamp> {
    let is_ready = ready_at.is_some_and(|ready| ready <= engine.clock.now());
    if !is_ready {
        crew.wanting = None;
        return ready_at.into_iter().chain(next_fire).min();
    }
    if crew.wanting.is_none() {
        crew.wanting = Some(engine.workers.want_room());
    }
    engine.active.ask_to_rest();
    next_fire
}

/// Stops gracefully. What `start` began in this engine stops with its last worker.
async fn retire(engine: &Arc<Inner>, settings: &WorkerSettings, crew: &mut Crew) {
    let which = if engine.has_worker() {
        Stopping::These(crew.ids())
    } else {
        Stopping::Unattended
    };
    let patience = engine.workers.patience(settings.grace);
    engine.stop_drivers(&which, patience).await;
    crew.reap();
}
