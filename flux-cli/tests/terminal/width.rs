use std::path::Path;

use flux::{Engine, ExecutionContext, TaskError, task, workflow};

use crate::terminal::{FLUX, Seen, Terminal};

const NAME: &str = "reconcile_the_ledgers_of_all_branches_with_those_of_the_bank";
const REASON: &str = "the bank answered 503 Service Unavailable to each of the requests for \
    statements of the month of November, and asks to be left alone until the morning";

#[task(max_attempts = 1)]
async fn fetch_the_statements_of_every_account_there_is() -> Result<(), String> {
    Err(REASON.to_owned())
}

#[workflow]
async fn reconcile_the_ledgers_of_all_branches_with_those_of_the_bank(
    _ctx: ExecutionContext,
) -> Result<(), TaskError> {
    fetch_the_statements_of_every_account_there_is().await
}

/// A store with an execution that has much to say.
async fn fill(folder: &Path) {
    let engine = Engine::open(folder.join("flux.db")).await.unwrap();
    let run = reconcile_the_ledgers_of_all_branches_with_those_of_the_bank
        .on(&engine)
        .run(())
        .execution_id("november");
    assert!(run.await.unwrap().into_result().is_err());
}

fn shown(args: &[&str], folder: &Path, width: u16) -> Seen {
    let (code, seen) = Terminal::start(FLUX, args, folder, width).end();
    assert_eq!(code, 0, "{}", seen.text());
    seen
}

/// Whether the terminal had to break no line.
fn fits(seen: &Seen) -> bool {
    let (rows, _) = seen.screen().size();
    !(0..rows.get()).any(|row| seen.screen().row_wrapped(row))
}

/// Text without what wrapping put into it.
fn words(text: &str) -> String {
    text.split_whitespace().collect()
}

/// The lines of a table, without what stands before and after it.
fn table(seen: &Seen, from: &str) -> String {
    let text = seen.text();
    let table = &text[text.find(from).unwrap()..];
    table.split("\n\n").next().unwrap().to_owned()
}

/// Where a column of a table begins.
fn column(table: &str, name: &str) -> usize {
    table.lines().next().unwrap().find(name).unwrap()
}

/// What stands in a column, from there to the end of the lines, put together again.
fn from_column(table: &str, at: usize) -> String {
    let cells = table
        .lines()
        .skip(1)
        .map(|line| line.get(at..).unwrap_or_default());
    words(&cells.collect::<String>())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_is_wrapped_in_its_columns_and_loses_nothing() {
    let folder = tempfile::tempdir().unwrap();
    fill(folder.path()).await;
    for width in [80, 200] {
        let seen = shown(&["list"], folder.path(), width);
        assert!(fits(&seen), "{width}: {}", seen.text());
        let table = table(&seen, "ID ");
        let note = from_column(&table, column(&table, "NOTE"));
        assert!(note.contains(&words(REASON)), "{note}");
        let (name, status) = (column(&table, "WORKFLOW"), column(&table, "STATUS"));
        let names = table
            .lines()
            .skip(1)
            .map(|line| &line[name..line.len().min(status)]);
        assert_eq!(words(&names.collect::<String>()), NAME);
        assert!(table.contains("Failed"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_are_wrapped_in_their_columns_and_lose_nothing() {
    let folder = tempfile::tempdir().unwrap();
    fill(folder.path()).await;
    for (width, has_timeline) in [(80, false), (200, true)] {
        let seen = shown(&["show", "november"], folder.path(), width);
        let table = table(&seen, "CALL ");
        assert!(
            table
                .lines()
                .all(|line| line.chars().count() <= usize::from(width))
        );
        let error: String = table.chars().filter(|c| *c != '\u{2588}').collect();
        let error = from_column(
            &error,
            column(&table, if has_timeline { "TIMELINE" } else { "ERROR" }),
        );
        assert!(error.contains(&words(REASON)), "{error}");
        assert_eq!(table.contains("TIMELINE"), has_timeline);
        // A line of text is the terminal's to break: copied, it is one again.
        assert!(seen.lines_with("Failed: ")[0].ends_with(REASON));
        assert!(seen.text().contains(&format!("{NAME}  november")));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_that_is_much_too_wide_becomes_records() {
    let folder = tempfile::tempdir().unwrap();
    fill(folder.path()).await;
    let seen = shown(&["list", "-o", "wide"], folder.path(), 80);
    assert!(fits(&seen), "{}", seen.text());
    assert_eq!(seen.lines_with("WORKFLOW"), [format!("WORKFLOW  {NAME}")]);
    assert!(words(&seen.text()).contains(&words(REASON)));
}
