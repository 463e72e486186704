//! Why a driver stops without having settled its execution.

use crate::engine::kernel::progress::Refusal;
use crate::error::Error;
use crate::store::StoreError;

/// Why a driver stops without having settled its execution.
#[derive(Debug)]
pub(crate) enum Halt {
    /// It is not to start; nothing was written.
    Refused(Refusal),
    /// Flux could not go on; the execution is resumable.
    Error(Error),
    /// The end of its code was not written, because its inbox holds a command that was not read.
    Unread,
    /// Its next attempt is not to begin now, because it is to be held or its process is about to end.
    PutOff,
}

impl From<Error> for Halt {
    fn from(error: Error) -> Self {
        Self::Error(error)
    }
}

impl From<StoreError> for Halt {
    fn from(error: StoreError) -> Self {
        Self::Error(error.into())
    }
}
