//! `list`: executions, newest first.

use crate::args::List;
use crate::exit::{Exit, Outcome};
use crate::session::Session;
use crate::view::ExecutionView;
use crate::{ids, select};

pub(super) async fn list(session: &Session, args: List) -> Outcome {
    let engine = session.look().await?;
    let mut list = select::listing(&engine, &args.filters, &session.output)?.limit(args.limit);
    if let Some(parent) = &args.parent {
        list = list.children_of(ids::find(&engine, parent).await?);
    }
    if let Some(before) = &args.before {
        list = list.before(ids::find(&engine, before).await?);
    }
    let executions = list.await?;
    let views = ExecutionView::read_all(&engine, &executions, &session.output).await?;
    session.output.rows(&views)?;
    if !session.output.is_text() {
        return Ok(Exit::Done);
    }
    match executions.last() {
        None => select::say_none(session, &engine, &args.filters, "no executions").await?,
        Some(oldest) if executions.len() == args.limit => {
            let before = ids::short(oldest.execution_id());
            session.say(format!("the next page: the same with --before {before}"));
        }
        Some(_) => {}
    }
    Ok(Exit::Done)
}
