//! What a caller says of a start, before anything is checked.

use std::time::Duration;

use serde::Serialize;

use crate::clock::Timestamp;
use crate::engine::Engine;
use crate::engine::placement::stand_in::Named;
use crate::engine::verb::chosen::Chosen;
use crate::id::ExecutionId;
use crate::payload::{Payload, PayloadError};

/// A start as its caller describes it.
pub(crate) struct StartDescription {
    pub(crate) engine: Chosen,
    pub(crate) workflow: Named,
    pub(crate) input: Result<Payload, PayloadError>,
    pub(crate) id: Option<ExecutionId>,
    pub(crate) queue: Option<String>,
    pub(crate) priority: i32,
    pub(crate) due: StartTime,
    pub(crate) dedup: Option<String>,
    pub(crate) refuses_duplicate: bool,
    pub(crate) is_for_worker: bool,
}

/// When a start is due.
#[derive(Clone, Copy)]
pub(crate) enum StartTime {
    Now,
    After(Duration),
    At(Timestamp),
}

impl StartDescription {
    pub(crate) fn new<I: Serialize>(engine: Option<Engine>, workflow: Named, input: &I) -> Self {
        let input = match &workflow {
            Named::Code(def) => Payload::record_again(input, def.reencode),
            Named::Name(_) => Payload::record(input),
        };
        Self {
            engine: Chosen::here(engine),
            workflow,
            input,
            id: None,
            queue: None,
            priority: 0,
            due: StartTime::Now,
            dedup: None,
            refuses_duplicate: false,
            is_for_worker: false,
        }
    }
}
