//! Transactions that a body runs: its own statements, committed by its driver together with a note of what they came to.
//!
//! The note makes them happen once for the call, however often the body runs: one that runs again after a crash, or in a
//! further attempt, is given what is noted under the name and the number that a transaction has within its attempt.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex};

use futures::channel::oneshot;

use crate::error::{BodyError, TaskFailure};
use crate::payload::Payload;
use crate::store::TransactionBody;
use crate::sync::lock;
use crate::task::{BodyFuture, BodyOutput};

/// What statements came to: the JSON of their result, or that of the [`TaskFailure`].
pub(crate) type Came = Result<Payload, Payload>;

/// Statements that a body wants run.
pub(crate) struct StatementsRequest {
    pub(crate) name: Arc<str>,
    /// How many of this name the attempt has asked for before.
    pub(crate) nth: u32,
    pub(crate) run: TransactionBody,
    /// Dropped when the body's execution is no longer driven here.
    pub(crate) reply: oneshot::Sender<Came>,
}

/// How one attempt of a body has statements run.
pub(crate) struct Statements {
    ask: Box<dyn Fn(StatementsRequest) + Send + Sync>,
    counts: Mutex<BTreeMap<Arc<str>, u32>>,
}

impl Statements {
    /// `ask` brings what is asked for to the driver.
    pub(crate) fn new(ask: impl Fn(StatementsRequest) + Send + Sync + 'static) -> Self {
        Self {
            ask: Box::new(ask),
            counts: Mutex::default(),
        }
    }

    /// Asks for it, and waits for what it comes to.
    pub(crate) fn run(&self, name: &Arc<str>, run: TransactionBody) -> BodyFuture {
        let (reply, answer) = oneshot::channel();
        (self.ask)(StatementsRequest {
            name: Arc::clone(name),
            nth: self.count(name),
            run,
            reply,
        });
        Box::pin(async move {
            match answer.await {
                Ok(Ok(payload)) => Ok(BodyOutput {
                    payload,
                    value: Box::new(()),
                }),
                Ok(Err(failure)) => Err(error_of(&failure)),
                Err(oneshot::Canceled) => Err(BodyError::final_message(
                    "its execution is no longer driven here, so nothing more is written for it",
                )),
            }
        })
    }

    fn count(&self, name: &Arc<str>) -> u32 {
        let mut counts = lock(&self.counts);
        let next = counts.entry(Arc::clone(name)).or_default();
        *next += 1;
        *next - 1
    }
}

fn error_of(failure: &Payload) -> BodyError {
    match failure.decode::<TaskFailure>() {
        Ok(failure) => BodyError {
            record: Box::new(failure.error),
            kind: failure.kind,
            retryable: false,
            tasks: Vec::new(),
        },
        Err(error) => BodyError::final_message(error.to_string()),
    }
}

impl fmt::Debug for StatementsRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StatementsRequest")
            .field("name", &self.name)
            .field("nth", &self.nth)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Statements {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Statements").finish_non_exhaustive()
    }
}
