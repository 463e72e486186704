//! When executions of a workflow start by themselves, and how many run at once.
use flux::__private::{WorkflowDef, WorkflowEntry};
use flux::{ExecutionContext, OnConflict, workflow};
use serde::{Deserialize, Serialize};

#[derive(Default, Serialize, Deserialize)]
struct Report {
    region: Option<String>,
}

#[workflow(schedule = "0 12 * * *")]
async fn at_noon(_ctx: ExecutionContext) {}

#[workflow(schedule("0 9 * * 1 america/new_york", "@every 90m"), schedule = ["@daily"])]
async fn write_report(_ctx: ExecutionContext<Report>) {}

#[workflow(schedule = "@hourly")]
async fn write_for(_ctx: ExecutionContext<Option<Vec<u32>>>) {}

#[workflow(queue = "orders", concurrency = 3, on_conflict = "terminate", tags("billing", "eu"))]
async fn run_three(_ctx: ExecutionContext<Report>) {}

#[workflow(lock = "report:{region}", tags = "billing")]
async fn run_by_region(_ctx: ExecutionContext<Report>) {}

#[workflow]
async fn run_any(_ctx: ExecutionContext) {}

fn definition(name: &str) -> &'static WorkflowDef {
    let mut entries = flux::__private::inventory::iter::<WorkflowEntry>.into_iter();
    entries.find(|entry| entry.0.name == name).unwrap().0
}

fn default_input(name: &str) -> String {
    let encode = definition(name).default_input.unwrap();
    encode().unwrap().to_string()
}

fn main() {
    assert_eq!(definition("at_noon").options.schedules, ["0 12 * * *"]);
    assert_eq!(
        definition("write_report").options.schedules,
        ["0 9 * * 1 America/New_York", "@every 1h30m", "@daily"]
    );
    assert_eq!(default_input("at_noon"), "null");
    assert_eq!(default_input("write_report"), r#"{"region":null}"#);
    assert_eq!(default_input("write_for"), "null");

    let limited = definition("run_three").options;
    assert_eq!((limited.queue, limited.concurrency), (Some("orders"), Some(3)));
    assert_eq!(limited.on_conflict, OnConflict::Terminate);
    assert_eq!(limited.tags, ["billing", "eu"]);

    let locked = definition("run_by_region").options;
    assert_eq!((locked.lock, locked.tags), (Some("report:{region}"), &["billing"][..]));

    let plain = definition("run_any");
    let options = plain.options;
    assert_eq!((options.queue, options.concurrency, options.lock), (None, None, None));
    assert_eq!(options.on_conflict, OnConflict::Reject);
    assert!(options.schedules.is_empty() && options.tags.is_empty());
    assert!(plain.default_input.is_none());
}
