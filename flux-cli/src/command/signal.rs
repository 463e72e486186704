//! `signal`: sends a signal.

use crate::args::Signal;
use crate::exit::{Exit, Outcome};
use crate::ids;
use crate::output::printable;
use crate::session::Session;
use crate::view::ExecutionView;

use super::{unread, value};

pub(super) async fn signal(session: &Session, args: Signal) -> Outcome {
    let value = value::read_or_null(args.value.as_deref(), "value of the signal")?;
    let engine = session.look().await?;
    let id = ids::find(&engine, &args.id).await?;
    match &args.dedup {
        Some(key) => engine.signal_once(&id, &args.name, &value, key).await?,
        None => engine.signal(&id, &args.name, &value).await?,
    }
    let execution = engine.get(&id).await?;
    let text = || {
        format!(
            "Sent `{}` to {} ({})",
            printable(&args.name),
            ids::short(&id),
            execution.workflow()
        )
    };
    let view = ExecutionView::read(&engine, &execution).await?;
    session.output.one(&view, text)?;
    unread::warn(session, &engine, &execution, &args.name).await?;
    Ok(Exit::Done)
}
