//! `queue ..`: queues and their limits.

use flux_core::{Engine, Queue};

use crate::args::{self, Limits};
use crate::exit::{Exit, Failure, Outcome};
use crate::nearest::nearest;
use crate::session::Session;
use crate::view::QueueView;

pub(super) async fn queue(session: &Session, args: args::Queue) -> Outcome {
    let engine = session.look().await?;
    match args {
        args::Queue::List => list(session, &engine).await,
        args::Queue::Pause(args) => {
            known(&engine, &args.name).await?.pause().await?;
            show(session, &engine, &args.name, "Paused").await
        }
        args::Queue::Resume(args) => {
            known(&engine, &args.name).await?.resume().await?;
            show(session, &engine, &args.name, "Resumed").await
        }
        args::Queue::Set(args) => {
            set(&engine, &args).await?;
            show(session, &engine, &args.name, "Set").await
        }
    }
}

async fn list(session: &Session, engine: &Engine) -> Outcome {
    let queues = engine.queues().await?;
    let views: Vec<_> = queues.iter().map(QueueView::of).collect();
    session.output.rows(&views)?;
    if views.is_empty() && session.output.is_text() {
        session
            .say("no queues: one comes to be when an execution is put into it, or limits are set");
    }
    Ok(Exit::Done)
}

async fn show(session: &Session, engine: &Engine, name: &str, done: &str) -> Outcome {
    let view = QueueView::of(&engine.queue(name).info().await?);
    session.output.one(&view, || {
        let table = session.output.drawn(std::slice::from_ref(&view));
        format!("{done} queue `{name}`\n{table}")
    })?;
    Ok(Exit::Done)
}

/// A queue that is there. Limits may be set before; to pause one that nobody uses is a slip.
async fn known(engine: &Engine, name: &str) -> Result<Queue, Failure> {
    let queues = engine.queues().await?;
    let names: Vec<&str> = queues.iter().map(|queue| &*queue.name).collect();
    if names.contains(&name) {
        return Ok(engine.queue(name));
    }
    let failure = Failure::not_found(format!("there is no queue `{name}`"));
    Err(failure.did_you_mean(nearest(name, names)))
}

async fn set(engine: &Engine, args: &Limits) -> Result<(), Failure> {
    let limits = &args.limits;
    let zero = Some(args::Limit(Some(0)));
    if limits.concurrency == zero || limits.per_worker == zero {
        let pause = format!("flux queue pause {}", crate::session::quoted(&args.name));
        return Err(Failure::usage("a limit of 0 would start nothing").hint(pause));
    }
    let mut queue = engine.queue(&args.name);
    if let Some(limit) = &limits.concurrency {
        queue = queue.concurrency(limit.0);
    }
    if let Some(limit) = &limits.per_worker {
        queue = queue.per_worker(limit.0);
    }
    match &limits.rate {
        Some(args::Limit(Some(rate))) => queue = queue.rate(rate),
        Some(args::Limit(None)) => queue = queue.any_rate(),
        None => {}
    }
    if let Some(limit) = &limits.partition_by {
        queue = queue.partition_by_key(limit.0.as_deref());
    }
    queue.await?;
    Ok(())
}
