//! Which executions a command is about.

use flux_core::{Engine, Execution, List};

use crate::args::{Filters, Selection};
use crate::ask::confirm;
use crate::exit::{Exit, Failure};
use crate::ids;
use crate::known::known;
use crate::nearest::nearest;
use crate::output::{Output, parse_moment};
use crate::session::Session;
use crate::view::ExecutionView;

/// How many are read at once.
const PAGE: usize = 500;

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
        let moment = parse_moment(since, output.now)
            .map_err(|error| Failure::usage(format!("`--since {since}`: {error}")))?;
        list = list.since(moment);
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
    /// Leaves out of what filters found what it makes no sense for. What was named is not left out: that it cannot be
    /// done is an answer.
    pub(crate) fn keep(mut self, is_meant: impl Fn(&Execution) -> bool) -> Self {
        if !self.by_ids {
            self.executions.retain(is_meant);
        }
        self
    }

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
                .hint("`--workflow NAME --since 24h`, for example"),
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

/// Says that nothing fits, and what may have been meant.
pub(crate) async fn say_none(
    session: &Session,
    engine: &Engine,
    filters: &Filters,
    what: &str,
) -> Result<(), Failure> {
    session.say(what);
    let Some(wanted) = &filters.workflow else {
        return Ok(());
    };
    // To list all names takes longer than to look for one.
    let is_recorded = !engine.list().workflow(wanted).limit(1).await?.is_empty();
    if is_recorded {
        return Ok(());
    }
    let names = known(engine).await?;
    if names.contains(wanted) {
        return Ok(());
    }
    match nearest(wanted, names.iter().map(String::as_str)) {
        Some(near) => session.say(format!(
            "no workflow `{wanted}` is known here; did you mean `{near}`?"
        )),
        None => session.say(format!("no workflow `{wanted}` is known here")),
    }
    Ok(())
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
    for execution in &chosen.executions {
        session.say(format!(
            "  {}  {}  {}",
            ids::short(execution.execution_id()),
            execution.workflow(),
            execution.status()
        ));
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
