//! The children of an execution, and theirs.

use std::fmt::Write as _;

use flux_core::{Engine, Error, Execution, Status};
use futures::future::{BoxFuture, FutureExt};
use serde::Serialize;

use crate::ids;
use crate::output::{Output, paint, status_style};
use crate::story::{self, Owners};
use crate::view::ExecutionView;

/// How many are read at once.
const PAGE: usize = 200;

/// How deep a tree is read and drawn. A deeper one would be wider than any screen, and nested deeper than readers of JSON
/// take.
const DEEPEST: usize = 40;

/// A child with its own.
#[derive(Clone, Serialize)]
pub(super) struct Branch {
    #[serde(flatten)]
    view: ExecutionView,
    /// None where it has some, deeper than the tree is read.
    children: Option<Vec<Branch>>,
    #[serde(skip)]
    execution: Execution,
}

/// Reads the children of an execution, oldest first, and theirs.
pub(super) async fn children(
    engine: &Engine,
    parent: &Execution,
    owners: &Owners,
) -> Result<Vec<Branch>, Error> {
    branches(engine, parent, owners, DEEPEST).await
}

fn branches<'a>(
    engine: &'a Engine,
    parent: &'a Execution,
    owners: &'a Owners,
    depth: usize,
) -> BoxFuture<'a, Result<Vec<Branch>, Error>> {
    async move {
        let found = all_of(engine, parent).await?;
        let mut grown = Vec::with_capacity(found.len());
        for execution in found {
            let children = if depth > 1 {
                Some(branches(engine, &execution, owners, depth - 1).await?)
            } else {
                let first = engine.list().children_of(execution.execution_id()).limit(1);
                first.await?.is_empty().then(Vec::new)
            };
            grown.push(Branch {
                view: ExecutionView::of(&execution, owners),
                children,
                execution,
            });
        }
        Ok(grown)
    }
    .boxed()
}

/// The children of an execution, oldest first.
async fn all_of(engine: &Engine, parent: &Execution) -> Result<Vec<Execution>, Error> {
    let mut found: Vec<Execution> = Vec::new();
    loop {
        let mut list = engine.list().children_of(parent.execution_id()).limit(PAGE);
        if let Some(last) = found.last() {
            list = list.before(last.execution_id());
        }
        let page = list.await?;
        let is_last = page.len() < PAGE;
        found.extend(page);
        if is_last {
            found.reverse();
            return Ok(found);
        }
    }
}

/// Draws them as a tree.
pub(super) fn draw(branches: &[Branch], owners: &Owners, output: &Output) -> String {
    let mut text = String::new();
    if branches.is_empty() {
        text.push_str("none\n");
    }
    grow(&mut text, branches, "", owners, output);
    text
}

fn grow(text: &mut String, branches: &[Branch], margin: &str, owners: &Owners, output: &Output) {
    for (place, branch) in branches.iter().enumerate() {
        let is_last = place + 1 == branches.len();
        let (fork, below) = if is_last {
            ("└─ ", "   ")
        } else {
            ("├─ ", "│  ")
        };
        let execution = &branch.execution;
        let status: Status = execution.status();
        let note = story::note(execution, owners, output);
        let note = if note.is_empty() {
            note
        } else {
            format!("  {note}")
        };
        let _ = writeln!(
            text,
            "{margin}{fork}{}  {}  {}{note}",
            execution.workflow(),
            ids::short(execution.execution_id()),
            paint(status_style(status), status),
        );
        let margin = format!("{margin}{below}");
        match &branch.children {
            Some(children) => grow(text, children, &margin, owners, output),
            None => {
                let id = ids::short(execution.execution_id());
                let _ = writeln!(text, "{margin}└─ ..  deeper: `flux show {id} --tree`");
            }
        }
    }
}
