//! Which executions a command is about.

use flux_core::{Engine, Execution, List};

use crate::args::{Filters, Selection};
use crate::ask::confirm;
use crate::exit::{Exit, Failure};
use crate::ids;
use crate::output::{Output, parse_moment};
use crate::session::Session;
use crate::view::ExecutionView;

/// How many are read at once.
const PAGE: usize = 500;

/// How many are shown before the question.
const SHOWN: usize = 20;

/// A listing of what fits.
pub(crate) fn listing(
    engine: &Engine,
    filters: &Filters,
    output: &Output,
) -> Result<List, Failure> {
    let mut list = engine.list();
    for status in &filters.status {
        list = list.status(*status);
    }
    if let Some(workflow) = &filters.workflow {
        list = list.workflow(workflow);
    }
    if let Some(since) = &filters.since {
        list = list.since(parse_moment(since, output.now).map_err(Failure::usage)?);
    }
    if let Some(queue) = &filters.queue {
        list = list.queue(queue);
    }
    if let Some(tag) = &filters.tag {
        list = list.tag(tag);
    }
    if let Some(schedule) = &filters.schedule {
        list = list.schedule(schedule);
    }
    Ok(list)
}

/// What was chosen, and whether by ids.
pub(crate) struct Chosen {
    pub(crate) executions: Vec<Execution>,
    pub(crate) by_ids: bool,
}

impl Chosen {
    /// The one that was named by its id. What filters found is a list, also where it is one: scripts count on that.
    pub(crate) fn one(&self) -> Option<&Execution> {
        match self.executions.as_slice() {
            [one] if self.by_ids => Some(one),
            _ => None,
        }
    }
}

/// Finds what a selection names: by ids, or all that fits.
pub(crate) async fn choose(
    session: &Session,
    engine: &Engine,
    selection: &Selection,
) -> Result<Chosen, Failure> {
    match (selection.ids.is_empty(), selection.filters.is_empty()) {
        (false, true) => by_ids(engine, &selection.ids).await,
        (true, false) => all(session, engine, &selection.filters).await,
        (true, true) => Err(
            Failure::usage("say which executions: by id, or with filters")
                .hint("`--status running --workflow NAME`, for example"),
        ),
        (false, false) => Err(Failure::usage(
            "say which executions by id or with filters, not both",
        )),
    }
}

async fn by_ids(engine: &Engine, pieces: &[String]) -> Result<Chosen, Failure> {
    let mut executions: Vec<Execution> = Vec::with_capacity(pieces.len());
    for piece in pieces {
        let id = ids::find(engine, piece).await?;
        if executions.iter().all(|known| *known.execution_id() != id) {
            executions.push(engine.get(id).await?);
        }
    }
    Ok(Chosen {
        executions,
        by_ids: true,
    })
}

async fn all(session: &Session, engine: &Engine, filters: &Filters) -> Result<Chosen, Failure> {
    let mut executions: Vec<Execution> = Vec::new();
    loop {
        let mut page = listing(engine, filters, &session.output)?.limit(PAGE);
        if let Some(last) = executions.last() {
            page = page.before(last.execution_id());
        }
        let page = page.await?;
        let is_last = page.len() < PAGE;
        executions.extend(page);
        if is_last {
            break;
        }
    }
    Ok(Chosen {
        executions,
        by_ids: false,
    })
}

/// Shows what will be done to many, and asks. What was named by ids is not asked about.
pub(crate) fn confirm_many(
    session: &Session,
    chosen: &Chosen,
    verb: &str,
) -> Result<Option<Exit>, Failure> {
    if chosen.by_ids {
        return Ok(None);
    }
    let count = chosen.executions.len();
    if count == 0 {
        return nothing_done(session, "nothing fits: nothing was done").map(Some);
    }
    for execution in chosen.executions.iter().take(SHOWN) {
        session.say(format!(
            "  {}  {}  {}",
            ids::short(execution.execution_id()),
            execution.workflow(),
            execution.status()
        ));
    }
    if count > SHOWN {
        session.say(format!("  .. and {} more", count - SHOWN));
    }
    let plural = if count == 1 {
        "execution"
    } else {
        "executions"
    };
    if session.is_sure || confirm(&format!("{verb} {count} {plural}?"))? {
        return Ok(None);
    }
    nothing_done(session, "nothing was done").map(Some)
}

/// Says so; whoever reads JSON is given an empty list.
fn nothing_done(session: &Session, why: &str) -> Result<Exit, Failure> {
    session.say(why);
    if !session.output.is_text() {
        session.output.rows::<ExecutionView>(&[])?;
    }
    Ok(Exit::Done)
}
