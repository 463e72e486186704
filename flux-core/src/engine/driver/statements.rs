//! Transactions that bodies run: committed here, with a note that keeps them from happening twice.

use std::sync::Arc;

use super::Driver;
use super::commits::Commits;
use super::core::Core;
use super::core::calls::Task;
use super::halt::Halt;
use super::noted::{Noted, came};
use crate::context::statements::{Came, StatementsRequest};
use crate::engine::history::reader::History;
use crate::engine::kernel::input::FromBody;
use crate::event::{BodyTransactionMeta, Event, EventKind};
use crate::id::{EventSeq, ExecutionKey};
use crate::payload::Payload;
use crate::store::{Store, StoreError, Transaction};

impl Driver {
    /// Runs what a body asked for, unless it is noted already, and tells the body.
    pub(super) async fn run_statements(&mut self, from: FromBody) -> Result<(), Halt> {
        let FromBody { call, run, asked } = from;
        let Some((key, _)) = self.core.row.epoch() else {
            return Ok(());
        };
        let store = Arc::clone(&self.kernel.store);
        let Some(task) = self.core.calls.task(call) else {
            return Ok(());
        };
        let is_fallback = task.is_fallback();
        let Some(running) = task.running().filter(|running| running.run == run) else {
            return Ok(());
        };
        let noted = match &mut running.noted {
            Some(noted) => noted,
            noted => noted.insert(read(&store, key, call).await?),
        };
        let place = (Arc::clone(&asked.name), asked.nth, is_fallback);
        if let Some(came) = noted.0.get(&place) {
            let _ = asked.reply.send(came.clone());
            return Ok(());
        }
        let Some(came) =
            commit(&mut self.commits, &mut self.core, call, &asked, is_fallback).await?
        else {
            return Ok(());
        };
        let running = self.core.calls.task(call).and_then(Task::running);
        if let Some(noted) = running.and_then(|running| running.noted.as_mut()) {
            noted.0.insert(place, came.clone());
        }
        // The body may have been dropped; what it did counts.
        let _ = asked.reply.send(came);
        Ok(())
    }
}

/// Runs the statements of a body, and notes what they came to.
async fn commit(
    commits: &mut Commits,
    core: &mut Core,
    call: EventSeq,
    asked: &StatementsRequest,
    fallback: bool,
) -> Result<Option<Came>, Halt> {
    let mut event = core.event_at(EventKind::BodyTransaction, Some(call));
    event.name = Some(Arc::clone(&asked.name));
    let with = |failed: bool| {
        let meta = BodyTransactionMeta {
            nth: asked.nth,
            failed,
            fallback,
        };
        Event {
            meta: Payload::encode(&meta).ok(),
            ..event.clone()
        }
    };
    let transaction = Transaction {
        run: Arc::clone(&asked.run),
        completed: with(false),
        failed: with(true),
    };
    let written = commits.write_alone(core, transaction).await?;
    let noted = written.filter(|event| event.kind == EventKind::BodyTransaction);
    Ok(noted.map(|event| came(&event, event.meta())))
}

/// Reads what is noted of a call, also what a rewind has taken back: it happened.
async fn read(
    store: &Arc<dyn Store>,
    key: ExecutionKey,
    call: EventSeq,
) -> Result<Noted, StoreError> {
    let mut noted = Noted::default();
    let mut events = History::between(store, key, call, EventSeq::MAX);
    while let Some(event) = events.next_event().await? {
        noted.see(call, &event);
    }
    Ok(noted)
}
