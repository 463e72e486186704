//! `worker`: drives what is ready; `worker list`: who has the store open.

use crate::args::{Worker, WorkerCommand};
use crate::exit::{Exit, Outcome};
use crate::session::Session;
use crate::view::WorkerView;

pub(super) async fn worker(session: &Session, args: Worker) -> Outcome {
    match args.command {
        Some(WorkerCommand::List) => list(session).await,
        None => serve(session, args).await,
    }
}

async fn list(session: &Session) -> Outcome {
    let engine = session.look().await?;
    let workers = engine.workers().await?;
    // The dead that left nothing behind are of no interest: the next worker clears them away.
    let views: Vec<_> = workers
        .iter()
        .filter(|worker| worker.is_alive || worker.owns > 0)
        .map(WorkerView::of)
        .collect();
    session.output.rows(&views)?;
    if views.is_empty() && session.output.is_text() {
        session.say("no workers");
    }
    Ok(Exit::Done)
}

async fn serve(session: &Session, args: Worker) -> Outcome {
    session.needs_code("`worker`")?;
    let engine = session.drive().await?;
    let mut worker = engine.worker();
    for queue in &args.queue {
        worker = worker.queue(queue);
    }
    if let Some(count) = args.concurrency {
        worker = worker.concurrency(count.get());
    }
    if let Some(grace) = args.grace {
        worker = worker.grace(grace);
    }
    let workflows: Vec<_> = engine
        .workflows()
        .iter()
        .map(|name| format!("`{name}`"))
        .collect();
    let queues = match args.queue.as_slice() {
        [] => String::new(),
        queues => format!(", of queues only {}", queues.join(", ")),
    };
    session.say(format!(
        "serving {}{queues}; Ctrl-C stops in order",
        workflows.join(", ")
    ));
    worker.run_until(flux_core::shutdown_signal()).await?;
    session.say("stopped in order");
    Ok(Exit::Done)
}
