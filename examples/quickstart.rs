//! An order survives the death of its process.
//!
//! ```text
//! cargo run --example quickstart
//! ```
//!
//! This program starts itself again as a process of its own, which takes an order: four steps, the second of which
//! charges a card. That process kills itself at the worst moment, right after the charge was recorded. The same
//! command is then run again. It replays what is recorded, runs only what is not, and the card is charged once.

use std::error::Error;
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{self, Command, ExitStatus};

use flux::{Engine, Event, ExecutionContext, TaskError, task, workflow};
use serde::{Deserialize, Serialize};

/// Names the folder a child works in.
const FOLDER: &str = "QUICKSTART_FOLDER";
/// Tells a child to die before it ships.
const CRASH: &str = "QUICKSTART_CRASH";
/// The caller chooses the id: asked for twice, it is the same order.
const ORDER: &str = "order-1";

#[derive(Clone, Serialize, Deserialize)]
struct Order {
    item: String,
    cents: u32,
}

#[task]
async fn reserve_stock(item: String) -> String {
    ran("reserve_stock", &format!("one {item} set aside"));
    format!("shelf 7, {item}")
}

#[task]
async fn charge_card(cents: u32) -> std::io::Result<String> {
    // The bank is outside: what happens there cannot be taken back.
    let bank = PathBuf::from(std::env::var_os(FOLDER).unwrap_or_default()).join("bank.txt");
    let mut bank = OpenOptions::new().create(true).append(true).open(bank)?;
    writeln!(
        bank,
        "charged {cents} cents, key {}",
        flux::idempotency_key()
    )?;
    ran("charge_card", &format!("{cents} cents, at the bank"));
    Ok("receipt 4711".to_owned())
}

#[task]
async fn ship_parcel(shelf: String) -> String {
    // A body starts only after the commit that holds every result before it.
    if std::env::var_os(CRASH).is_some() {
        println!(
            "    {:<14}  KILLED    process {} ends here",
            "ship_parcel",
            process::id()
        );
        process::abort();
    }
    ran("ship_parcel", &format!("from {shelf}"));
    "parcel 42".to_owned()
}

#[task]
async fn send_receipt(receipt: String, parcel: String) -> String {
    ran("send_receipt", &format!("{receipt}, {parcel}"));
    format!("{receipt}, {parcel}")
}

/// The order flow: an ordinary async function.
#[workflow]
async fn place_order(ctx: ExecutionContext<Order>) -> Result<String, TaskError> {
    let order = ctx.input().clone();
    let shelf = reserve_stock(order.item).await?;
    replayed(&ctx, "reserve_stock", &shelf);
    let receipt = charge_card(order.cents).await?;
    replayed(&ctx, "charge_card", &receipt);
    let parcel = ship_parcel(shelf).await?;
    replayed(&ctx, "ship_parcel", &parcel);
    send_receipt(receipt, parcel).await
}

fn ran(step: &str, what: &str) {
    println!("    {step:<14}  ran       {what}");
}

/// Says which steps took their result from the file.
fn replayed(ctx: &ExecutionContext<Order>, step: &str, result: &str) {
    if ctx.is_replaying() {
        println!("    {step:<14}  replayed  {result:?} is in the file");
    }
}

/// One process: opens the file and runs the order. It does not know whether it is the first.
#[tokio::main(flavor = "current_thread")]
async fn take_order(folder: &Path) -> Result<(), Box<dyn Error>> {
    let engine = Engine::open(folder.join("orders.db")).await?;
    let order = Order {
        item: "espresso pot".to_owned(),
        cents: 4990,
    };
    println!("\n  Process {} runs {ORDER}:", process::id());
    let run = place_order
        .on(&engine)
        .run(order)
        .execution_id(ORDER)
        .await?;
    println!("    {}: {}", run.status(), run.output().ok_or("no output")?);
    Ok(())
}

fn main() -> Result<(), Box<dyn Error>> {
    match std::env::var_os(FOLDER) {
        Some(folder) => take_order(Path::new(&folder)),
        None => show(&folder()?),
    }
}

/// The parent: runs the same process twice, then shows what is in the file.
fn show(folder: &Path) -> Result<(), Box<dyn Error>> {
    println!("An order of four steps. Its process is killed right after the card was charged.");
    run_child(folder, true)?;
    run_child(folder, false)?;

    let bank = fs::read_to_string(folder.join("bank.txt"))?;
    println!("\n  The bank's own book:");
    bank.lines().for_each(|line| println!("    {line}"));

    let file = folder.join("orders.db");
    let here = std::env::current_dir()?;
    let file = file.strip_prefix(&here).unwrap_or(&file);
    println!("\n  The history, in {}:", file.display());
    let events = read_history(file)?;
    for event in &events {
        let payload = event
            .payload
            .as_ref()
            .map(ToString::to_string)
            .unwrap_or_default();
        println!(
            "    {:>2}  {:<18}  {:<13}  {payload}",
            event.seq.get(),
            event.kind.as_str(),
            name(&events, event)
        );
    }
    println!("\n  Ask it yourself:");
    println!(
        "    sqlite3 {} 'SELECT id, workflow, status, attempt FROM executions_view'",
        file.display()
    );
    println!(
        "    sqlite3 {} 'SELECT seq, kind, name, payload FROM events_view'",
        file.display()
    );

    let charges = match bank.lines().count() {
        1 => "once".to_owned(),
        other => format!("{other} times"),
    };
    println!("\nTwo processes, four steps, and the card was charged {charges}.");
    Ok(())
}

/// Runs this program again as a child that takes the order.
fn run_child(folder: &Path, crash: bool) -> std::io::Result<ExitStatus> {
    let mut child = Command::new(std::env::current_exe()?);
    child.args(ARGS).env(FOLDER, folder);
    if crash {
        child.env(CRASH, "1");
    }
    child.status()
}

#[tokio::main(flavor = "current_thread")]
async fn read_history(file: &Path) -> Result<Vec<Event>, flux::Error> {
    Engine::open(file).await?.history(ORDER).await
}

/// An event's own name, or that of the call it is about.
fn name<'a>(events: &'a [Event], event: &'a Event) -> &'a str {
    let call = || events.iter().find(|call| Some(call.seq) == event.refers);
    event
        .name
        .as_deref()
        .or_else(|| call()?.name.as_deref())
        .unwrap_or_default()
}

/// A fresh folder beside the program: `target/quickstart`.
fn folder() -> std::io::Result<PathBuf> {
    let program = std::env::current_exe()?;
    let target = program.ancestors().nth(3).unwrap_or(Path::new("."));
    let folder = target.join("quickstart");
    if folder.exists() {
        fs::remove_dir_all(&folder)?;
    }
    fs::create_dir_all(&folder)?;
    Ok(folder)
}

#[cfg(not(test))]
const ARGS: [&str; 0] = [];
/// In a test the program is the test binary, and a child is one of its tests.
#[cfg(test)]
const ARGS: [&str; 3] = ["--exact", "tests::child", "--nocapture"];

#[cfg(test)]
mod tests {
    use super::*;
    use flux::EventKind;

    /// Not a test by itself: the process that the test below starts twice.
    #[test]
    fn child() {
        if let Some(folder) = std::env::var_os(FOLDER) {
            take_order(Path::new(&folder)).unwrap();
        }
    }

    #[test]
    fn the_card_is_charged_once() {
        let folder = tempfile::tempdir().unwrap();
        assert!(!run_child(folder.path(), true).unwrap().success());
        assert!(run_child(folder.path(), false).unwrap().success());
        let bank = fs::read_to_string(folder.path().join("bank.txt")).unwrap();
        assert_eq!(bank.lines().count(), 1, "{bank}");

        let events = read_history(&folder.path().join("orders.db")).unwrap();
        let of = |kind| {
            let of_kind = events.iter().filter(|event| event.kind == kind);
            of_kind
                .map(|event| name(&events, event))
                .collect::<Vec<_>>()
        };
        assert_eq!(
            of(EventKind::TaskCompleted),
            [
                "reserve_stock",
                "charge_card",
                "ship_parcel",
                "send_receipt"
            ]
        );
        assert_eq!(of(EventKind::TaskInterrupted), ["ship_parcel"]);
    }
}
