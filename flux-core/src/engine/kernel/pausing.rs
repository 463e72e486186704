//! Pause points and the answers to them, as far as both can be told from a row, without the code.

use crate::error::Error;
use crate::execution::{PausePoint, Status, Waiting};
use crate::id::ExecutionId;
use crate::payload::Payload;
use crate::store::ExecutionRecord;

/// The answer to a pause point.
#[derive(Debug, Clone, Default)]
pub(crate) struct Answer {
    /// Which pause point, where the caller said.
    pub(crate) at: Option<String>,
    /// The value, where the caller gave one.
    pub(crate) value: Option<Payload>,
    /// The pause point that waited when the caller asked: no later one is answered in its stead.
    pub(crate) meant: Option<PausePoint>,
}

impl Answer {
    /// Whether it says which pause point it answers, or what with.
    pub(crate) fn answers_a_pause(&self) -> bool {
        self.at.is_some() || self.value.is_some()
    }
}

/// The pause point an answer is meant for; none where the answer says nothing and nothing waits.
pub(crate) fn choose_pause(
    id: &ExecutionId,
    points: &[PausePoint],
    answer: &Answer,
    status: Status,
) -> Result<Option<PausePoint>, Error> {
    let names = || points.iter().map(PausePoint::full_name).collect::<Vec<_>>();
    let fitting: Vec<&PausePoint> = match &answer.at {
        Some(name) => points.iter().filter(|point| point.is_named(name)).collect(),
        None => points.iter().collect(),
    };
    match (fitting.as_slice(), &answer.at) {
        ([one], _) => Ok(Some((*one).clone())),
        ([], Some(name)) => Err(Error::NotPausedAt {
            id: id.clone(),
            name: name.clone(),
            pending: names(),
            status,
            has_waited_there: None,
        }),
        ([], None) if answer.value.is_some() => Err(Error::NotPaused { id: id.clone() }),
        ([], None) => Ok(None),
        // Several points of one name are answered in the order they were reached.
        ([first, rest @ ..], Some(_))
            if rest
                .iter()
                .all(|point| point.full_name() == first.full_name()) =>
        {
            Ok(Some((*first).clone()))
        }
        _ => Err(Error::AmbiguousPause {
            id: id.clone(),
            names: names(),
        }),
    }
}

/// The error of a value that the pause point does not want.
pub(crate) fn takes_no_value(id: &ExecutionId, point: &PausePoint) -> Error {
    Error::InvalidInput {
        what: format!(
            "value for pause point `{}` of execution `{id}`",
            point.name()
        ),
        path: ".".to_owned(),
        message: "this pause point takes no value; `flux::pause(name).value::<T>()` would"
            .to_owned(),
    }
}

/// Refuses an answer that fits no pause point, before anybody is disturbed.
pub(crate) fn check_pause(
    record: &ExecutionRecord,
    answer: &Answer,
) -> Result<Option<PausePoint>, Error> {
    let points = Waiting::read(record.waiting.as_ref()).pauses;
    let point = choose_pause(&record.id, &points, answer, record.status)?;
    let wants = point.as_ref().and_then(PausePoint::wants);
    match (wants, &answer.value) {
        (Some(wanted), None) => Err(Error::ResumeValueRequired {
            id: record.id.clone(),
            name: point
                .as_ref()
                .map(PausePoint::full_name)
                .unwrap_or_default(),
            wanted: wanted.to_owned(),
        }),
        _ => Ok(point),
    }
}

/// Whether an execution waits at this pause point of its own.
pub(crate) fn waits_at(record: &ExecutionRecord, point: &PausePoint) -> bool {
    let own = Waiting::read(record.waiting.as_ref()).pauses;
    own.iter()
        .any(|own| own.event() == point.event() && own.execution_id() == &record.id)
}
