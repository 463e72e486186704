//! `Resume::request`: asks for an execution to go on, without driving it and without its code.

use std::sync::Arc;

use super::checked::CheckedResume;
use crate::engine::history::reader::History;
use crate::engine::kernel::Kernel;
use crate::engine::kernel::message::{ResumeRequest, is_go_on, newest_of_hold};
use crate::engine::kernel::pausing::{Answer, check_pause, choose_pause, takes_no_value, waits_at};
use crate::engine::kernel::refuse::invalid;
use crate::engine::undriven::{reopen, take_off_hold};
use crate::error::Error;
use crate::event::EventKind;
use crate::execution::{PausePoint, Status, Waiting};
use crate::id::{EventSeq, ExecutionId};
use crate::payload::Payload;
use crate::registry::check_workflow;
use crate::store::{ExecutionRecord, MessageKind, NewMessage};

impl CheckedResume {
    /// `false` where somebody was faster: look again.
    pub(crate) async fn try_request(&self) -> Result<bool, Error> {
        let (kernel, answer) = (self.engine.kernel(), &self.answer);
        let record = kernel.record(&self.id).await?;
        if let Some(def) = self.def {
            check_workflow(def, &record)?;
        }
        self.check_status(record.status)?;
        let point = match record.status {
            Status::Completed => return Ok(true),
            Status::Cancelled | Status::Terminated => {
                return Err(Error::AlreadyFinished {
                    id: record.id,
                    status: record.status,
                });
            }
            Status::Paused if record.hold.is_none() || answer.answers_a_pause() => {
                check_request(&record, answer)?
            }
            Status::Running if answer.answers_a_pause() => check_request(&record, answer)?,
            // It waits at none.
            Status::Pending | Status::Failed => {
                choose_pause(&record.id, &[], answer, record.status)?
            }
            Status::Running | Status::Paused => None,
        };
        match point {
            Some(point) => request_answer(kernel, &record, &point, answer).await,
            None if record.status == Status::Failed => reopen(kernel, &record).await,
            None if record.hold.is_some() => take_off_hold(kernel, &record.id).await,
            None if record.status == Status::Running => go_on(kernel, &record).await,
            None => Ok(true),
        }
    }
}

/// As far as it can be seen without the code.
fn check_request(record: &ExecutionRecord, answer: &Answer) -> Result<Option<PausePoint>, Error> {
    let point = check_pause(record, answer)?;
    let has_value = answer
        .value
        .as_ref()
        .is_some_and(|value| value.as_str() != "null");
    match point {
        Some(point) if has_value && point.wants().is_none() => {
            Err(takes_no_value(&record.id, &point))
        }
        point => Ok(point),
    }
}

/// Sends an answer to the execution that has the pause point: this one, or a child at any depth.
async fn request_answer(
    kernel: &Arc<Kernel>,
    asked: &ExecutionRecord,
    point: &PausePoint,
    answer: &Answer,
) -> Result<bool, Error> {
    let target = kernel.record(point.execution_id()).await?;
    if !waits_at(&target, point) {
        // What the row says of a child is not the newest.
        choose_pause(&asked.id, &[], answer, target.status)?;
        return Ok(true);
    }
    if !take_path_off_hold(kernel, asked, target).await? {
        return Ok(false);
    }
    let request = ResumeRequest::Answer {
        point: point.event(),
        value: answer.value.clone(),
    };
    let what = || format!("value for a pause point of execution `{}`", asked.id);
    let payload = Payload::encode(&request).map_err(|error| invalid(what(), error))?;
    let message = NewMessage {
        kind: MessageKind::Resume,
        name: point.name().into(),
        payload,
        dedup: None,
        at: kernel.clock.now(),
    };
    post_request(kernel, point.execution_id(), message).await
}

/// Takes back that an execution which is not on hold yet is to be. Without such a wish nothing is written. `false`
/// where it has changed meanwhile: look again.
pub(crate) async fn go_on(kernel: &Arc<Kernel>, record: &ExecutionRecord) -> Result<bool, Error> {
    let is_to_be_held = is_to_be_held(kernel, record).await?;
    if is_to_be_held {
        let message = NewMessage {
            kind: MessageKind::Resume,
            name: "resume".into(),
            payload: Payload::encode(&ResumeRequest::GoOn).unwrap_or_else(|_| Payload::null()),
            dedup: None,
            at: kernel.clock.now(),
        };
        if !post_request(kernel, &record.id, message).await? {
            return Ok(false);
        }
    }
    // The wish leaves the inbox in the commit that puts it on hold: so the row is read last.
    if kernel.record(&record.id).await?.hold.is_none() {
        return Ok(true);
    }
    match take_off_hold(kernel, &record.id).await {
        // Whoever has it reads the message.
        Err(Error::AlreadyRunning { .. }) if is_to_be_held => Ok(true),
        taken => taken,
    }
}

/// Whether a pause was asked for that its driver has not carried out yet.
pub(crate) async fn is_to_be_held(
    kernel: &Kernel,
    record: &ExecutionRecord,
) -> Result<bool, Error> {
    let inbox = kernel.store.inbox(record.key).await?;
    let newest = newest_of_hold(&inbox);
    Ok(newest.is_some_and(|message| message.kind == MessageKind::Pause))
}

/// Whether it went on hold although a resume lies in its inbox: its driver did not read that any more.
pub(crate) async fn is_to_go_on(kernel: &Kernel, record: &ExecutionRecord) -> Result<bool, Error> {
    if record.hold.is_none() {
        return Ok(false);
    }
    let inbox = kernel.store.inbox(record.key).await?;
    Ok(newest_of_hold(&inbox).is_some_and(is_go_on))
}

/// `false` where the execution has ended just now, as the next look tells.
async fn post_request(
    kernel: &Kernel,
    to: &ExecutionId,
    message: NewMessage,
) -> Result<bool, Error> {
    match kernel.post(to, message).await {
        Ok(()) => {
            kernel.drivers.notify_inbox(to);
            Ok(true)
        }
        Err(Error::AlreadyFinished { .. }) => Ok(false),
        Err(error) => Err(error),
    }
}

/// Takes the execution that waits, the one that was asked, and those between them off hold.
async fn take_path_off_hold(
    kernel: &Arc<Kernel>,
    asked: &ExecutionRecord,
    target: ExecutionRecord,
) -> Result<bool, Error> {
    let mut record = target;
    loop {
        let is_off_hold = match record.hold {
            Some(_) => take_off_hold(kernel, &record.id).await?,
            None => go_on(kernel, &record).await?,
        };
        if !is_off_hold {
            return Ok(false);
        }
        match record.parent {
            Some(parent) if record.id != asked.id => record = kernel.record(&parent).await?,
            _ => return Ok(true),
        }
    }
}

/// Completes the error of an answer that fits no pause point: one that came too late and one that came too early
/// are mended in different ways.
pub(crate) async fn tell_whether_it_waited(kernel: &Kernel, mut error: Error) -> Error {
    if let Error::NotPausedAt {
        id,
        name,
        has_waited_there,
        ..
    } = &mut error
    {
        // Of a pause point of a child its own history tells. Where the store fails, the first error counts.
        let is_own = !name.contains('/');
        if is_own && let Ok(has_waited) = has_waited_at(kernel, id, name).await {
            *has_waited_there = Some(has_waited);
        }
    }
    error
}

async fn has_waited_at(kernel: &Kernel, id: &ExecutionId, name: &str) -> Result<bool, Error> {
    let key = kernel.record(id).await?.key;
    let mut events = History::between(&kernel.store, key, EventSeq::FIRST, EventSeq::MAX);
    while let Some(event) = events.next_event().await? {
        if event.kind == EventKind::PauseReached && event.name_str() == name {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Whether somebody has asked for an answer to a pause point that has not been delivered.
async fn is_under_way(kernel: &Kernel, point: &PausePoint) -> Result<bool, Error> {
    let record = kernel.record(point.execution_id()).await?;
    let inbox = kernel.store.inbox(record.key).await?;
    let answers = |payload: &Payload| {
        let request = payload.decode::<ResumeRequest>();
        matches!(request, Ok(ResumeRequest::Answer { point: asked, .. }) if asked == point.event())
    };
    Ok(inbox
        .iter()
        .any(|message| message.kind == MessageKind::Resume && answers(&message.payload)))
}

/// The pause points of an execution whose answers somebody has asked for and nobody has delivered.
pub(crate) async fn answers_under_way(
    kernel: &Kernel,
    record: &ExecutionRecord,
) -> Result<Vec<PausePoint>, Error> {
    let mut answered = Vec::new();
    for point in Waiting::read(record.waiting.as_ref()).pauses {
        if is_under_way(kernel, &point).await? {
            answered.push(point);
        }
    }
    Ok(answered)
}
