//! `subscribe`: an execution's events as they happen.

use std::collections::VecDeque;
use std::fmt;
use std::time::Duration;

use futures::stream::BoxStream;
use futures::{Stream, StreamExt};
use tokio::sync::broadcast;

use crate::engine::Engine;
use crate::error::Error;
use crate::event::{Event, EventKind};
use crate::id::{EventSeq, ExecutionId, ExecutionKey};

/// How many events are read at once.
const PAGE: usize = 512;

/// How soon events written by other processes are noticed.
const PACE: Duration = Duration::from_millis(50);

/// The events of an execution, those so far and those to come; what [`Engine::subscribe`] gives.
///
/// It ends when the execution has finished.
pub struct Events(BoxStream<'static, Result<Event, Error>>);

impl Engine {
    /// Follows an execution: all its events from the first, then each as it is committed, by whatever process.
    ///
    /// # Errors
    ///
    /// [`Error::ExecutionNotFound`]; the stream itself yields an error when the store cannot be read, and ends.
    pub async fn subscribe(&self, id: impl Into<ExecutionId>) -> Result<Events, Error> {
        let id = id.into();
        // Listening begins before the first read, so that nothing falls between them.
        let commits = self.kernel.subscribers.subscribe();
        let key = self.kernel.record(&id).await?.key;
        let follower = Follower {
            engine: self.clone(),
            id,
            key,
            commits,
            next: EventSeq::FIRST,
            page: VecDeque::new(),
            is_over: false,
        };
        let events = futures::stream::unfold(follower, |mut follower| async {
            let event = follower.next().await?;
            Some((event, follower))
        });
        Ok(Events(events.fuse().boxed()))
    }
}

struct Follower {
    engine: Engine,
    id: ExecutionId,
    key: ExecutionKey,
    commits: broadcast::Receiver<ExecutionId>,
    next: EventSeq,
    page: VecDeque<Event>,
    is_over: bool,
}

impl Follower {
    async fn next(&mut self) -> Option<Result<Event, Error>> {
        loop {
            if let Some(event) = self.page.pop_front() {
                return Some(Ok(event));
            }
            if self.is_over {
                return None;
            }
            if let Err(error) = self.read().await {
                self.is_over = true;
                return Some(Err(error));
            }
            if self.page.is_empty() && !self.is_over {
                self.wait().await;
            }
        }
    }

    async fn read(&mut self) -> Result<(), Error> {
        let store = &self.engine.kernel.store;
        let events = store.events(self.key, self.next, PAGE).await?;
        if let Some(last) = events.last() {
            self.next = last.seq.next();
            // A failure may be rewound in the same breath: only the row tells whether it is over.
            let may_be_over = last.kind.is_end() && events.len() < PAGE;
            self.is_over = may_be_over
                && self
                    .engine
                    .kernel
                    .record(&self.id)
                    .await?
                    .status
                    .is_finished();
        } else if self.next == EventSeq::FIRST {
            self.is_over = false;
        }
        self.page.extend(events);
        Ok(())
    }

    /// Waits for a commit of this process, or for the time in which those of others are noticed.
    async fn wait(&mut self) {
        let commit = async {
            loop {
                match self.commits.recv().await {
                    Ok(id) if id != self.id => {}
                    _ => return,
                }
            }
        };
        let _ = tokio::time::timeout(PACE, commit).await;
    }
}

impl Stream for Events {
    type Item = Result<Event, Error>;

    fn poll_next(
        mut self: std::pin::Pin<&mut Self>,
        cx: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Self::Item>> {
        self.0.poll_next_unpin(cx)
    }
}

impl Events {
    /// The next event; `None` when the execution has finished.
    pub async fn next(&mut self) -> Option<Result<Event, Error>> {
        StreamExt::next(&mut self.0).await
    }

    /// Waits for an event of this kind and returns it; `None` when the execution finished without.
    pub async fn wait_for(&mut self, kind: EventKind) -> Result<Option<Event>, Error> {
        while let Some(event) = self.next().await {
            let event = event?;
            if event.kind == kind {
                return Ok(Some(event));
            }
        }
        Ok(None)
    }
}

impl fmt::Debug for Events {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Events")
    }
}
