//! `retry`: tries again what failed.

use super::resume::{self, How};
use crate::args::Retry;
use crate::exit::Outcome;
use crate::select::choose;
use crate::session::Session;

pub(super) async fn retry(session: &Session, args: Retry) -> Outcome {
    let engine = resume::open(session).await?;
    let how = How {
        at: None,
        value: None,
        only_failed: true,
        also: args.also,
    };
    let chosen = choose(session, &engine, &args.selection).await?;
    resume::go_on(session, &engine, chosen, &how, &args.watching, "Retry").await
}
