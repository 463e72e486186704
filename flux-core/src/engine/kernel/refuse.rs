//! What is refused before anything is done.

use crate::context::current::{self, Current};
use crate::error::Error;
use crate::payload::PayloadError;

/// An error where user code runs that would run again at every replay, or that holds the store.
pub(crate) fn refuse_inside_workflow(what: &str, cure: &str) -> Result<(), Error> {
    match current::code() {
        None | Some(Current::Body(_)) => Ok(()),
        Some(Current::Workflow(_)) => Err(Error::InsideWorkflow {
            what: what.to_owned(),
            cure: cure.to_owned(),
        }),
        Some(Current::Transaction) => Err(Error::InsideTransaction {
            what: what.to_owned(),
        }),
    }
}

pub(crate) fn invalid(what: String, error: PayloadError) -> Error {
    Error::InvalidInput {
        what,
        path: error.path,
        message: error.message,
    }
}
