//! `pause`: keeps executions from going on.

use super::steer::{self, Deed};
use crate::args::Pause;
use crate::exit::Outcome;
use crate::session::Session;

pub(super) async fn pause(session: &Session, args: Pause) -> Outcome {
    let engine = session.look().await?;
    let deed = Deed {
        verb: "Pause",
        done: "Paused",
        needs_worker: false,
        act: &async |id| engine.pause(id).await,
    };
    steer::each(session, &engine, &args.selection, &deed).await
}
