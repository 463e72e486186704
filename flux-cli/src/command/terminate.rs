//! `terminate`: ends executions without another line of their code.

use super::steer::{self, Deed};
use crate::args::Terminate;
use crate::exit::Outcome;
use crate::session::Session;

pub(super) async fn terminate(session: &Session, args: Terminate) -> Outcome {
    let engine = session.look().await?;
    let deed = Deed {
        verb: "Terminate",
        done: "Terminated",
        needs_worker: false,
        act: &async |id| engine.terminate(id, args.reason.as_str()).await,
    };
    steer::each(session, &engine, &args.selection, &deed).await
}
