//! The end that is recorded, and the one that the code comes to.
//!
//! A driver never replays an end: what is over it leaves alone, and a rewind takes the end back. Who only looks at a
//! history does.

use super::diverge::shorten;
use super::matching::digest_of;
use super::outline::outline;
use super::recorded::{Polled, Recorded, failure_of, is_out_of_time};
use super::{Divergence, End};
use crate::digest::digest;
use crate::error::{FailureKind, is_same_error};
use crate::event::{Event, EventKind};
use crate::workflow::StopReason;

/// Compares how the code ended in a delivery with what is recorded. Errors are compared as they are kept under `limit`.
pub(super) fn check_end(
    recorded: &Recorded,
    polled: &Polled,
    continues: bool,
    limit: usize,
) -> Result<(), Divergence> {
    if continues && recorded.is_put_away() {
        return Ok(());
    }
    let found = if continues {
        Some("begins anew".to_owned())
    } else {
        how_it_ended(polled)
    };
    let Some(end) = &recorded.end else {
        return if continues || matches!(polled, Polled::Ended(_)) {
            let found = found.as_deref().unwrap_or("ends after it");
            Err(Divergence::plain(
                &recorded.arrival,
                &format!("{found}, and the history goes on"),
            ))
        } else {
            Ok(())
        };
    };
    if !continues && comes_to(end, polled, limit) {
        return Ok(());
    }
    Err(Divergence::plain(
        end,
        found.as_deref().unwrap_or("goes on"),
    ))
}

/// How the code ended by itself, as it is told beside what is recorded.
pub(super) fn how_it_ended(polled: &Polled) -> Option<String> {
    match polled {
        Polled::Ended(End::Completed(output)) if output.as_str() == "null" => {
            Some("returned".to_owned())
        }
        Polled::Ended(End::Completed(output)) => Some(format!("returned `{}`", outline(output))),
        Polled::Ended(End::Failed(failed)) if failed.panicked => {
            Some(format!("panicked: {}", shorten(&failed.error.message)))
        }
        Polled::Ended(End::Failed(failed)) => Some(format!(
            "returned an error: {}",
            shorten(&failed.error.message)
        )),
        Polled::Pending | Polled::Ended(End::ContinuedAsNew(_) | End::Stopped(_)) => None,
    }
}

fn comes_to(end: &Event, polled: &Polled, limit: usize) -> bool {
    match (end.kind, polled) {
        (EventKind::WorkflowCompleted, Polled::Ended(End::Completed(output))) => {
            digest_of(end.payload.as_ref()) == digest(output.as_str())
        }
        (EventKind::WorkflowFailed, _) => fails_so(end, polled, limit),
        (EventKind::WorkflowCancelled, Polled::Ended(End::Stopped(stopped))) => {
            stopped.why == StopReason::Cancelled
        }
        (EventKind::WorkflowCancelled | EventKind::WorkflowTerminated, Polled::Pending) => true,
        _ => false,
    }
}

fn fails_so(end: &Event, polled: &Polled, limit: usize) -> bool {
    let Some(failure) = failure_of(end) else {
        return false;
    };
    match polled {
        Polled::Pending => is_out_of_time(&failure),
        Polled::Ended(End::Stopped(stopped)) => stopped.why == StopReason::OutOfTime(failure.kind),
        Polled::Ended(End::Failed(failed)) => {
            let kind = if failed.panicked {
                FailureKind::Panicked
            } else {
                FailureKind::Error
            };
            let error = failed.error.clone().within(limit);
            failure.kind == kind && is_same_error(&failure.error, &error)
        }
        Polled::Ended(End::Completed(_) | End::ContinuedAsNew(_)) => false,
    }
}
