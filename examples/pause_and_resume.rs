//! A program that stops for a person, and another that goes on.
//!
//! ```text
//! cargo run --example pause_and_resume
//! cargo run --example pause_and_resume -- resume <id>
//! ```
//!
//! An expense report is checked, and then somebody has to approve it. The first process ends there: nothing of it is
//! left but the file `./flux.db`. Hours later a second process resumes the execution by its id. The report is not
//! checked again. A resume of what has finished runs nothing and returns what is stored.

use flux::{Execution, ExecutionContext, TaskError, task, workflow};

#[task]
async fn check_receipts(name: String) -> u32 {
    println!("  checking the receipts of {name}");
    120
}

#[task]
async fn pay_out(name: String, amount: u32) -> String {
    println!("  paying {amount} to {name}");
    format!("{name} was paid {amount}")
}

#[workflow]
async fn reimburse(ctx: ExecutionContext<String>) -> Result<String, TaskError> {
    let name = ctx.input().clone();
    let amount = check_receipts(name.clone()).await?;
    flux::pause("manual_approval").await;
    pay_out(name, amount).await
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    match &args[..] {
        [] => start().await?,
        [verb, id] if verb == "resume" => resume(id).await?,
        _ => return Err("say nothing, or `resume <id>`".into()),
    }
    Ok(())
}

async fn start() -> Result<(), flux::Error> {
    let run = reimburse.run("Ada".to_owned()).await?;
    show(&run);
    println!("Approve it with:");
    println!(
        "  cargo run --example pause_and_resume -- resume {}",
        run.execution_id()
    );
    Ok(())
}

async fn resume(id: &str) -> Result<(), flux::Error> {
    let run = reimburse.resume(id).await?;
    show(&run);
    Ok(())
}

fn show(run: &Execution<String>) {
    println!("{run}");
    if let Some(output) = run.output() {
        println!("  {output}");
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::process::Command;

    use flux::{Engine, Status};

    use super::*;

    /// What a child is to do; it has the whole process, and `FLUX_STORE` says where its file is.
    const RESUME: &str = "PAUSE_AND_RESUME";

    #[tokio::test]
    async fn child() {
        match std::env::var(RESUME) {
            Ok(id) if id.is_empty() => start().await.unwrap(),
            Ok(id) => resume(&id).await.unwrap(),
            Err(_) => {}
        }
    }

    /// Runs a process and returns what it printed.
    fn process(file: &Path, id: &str) -> String {
        let child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "tests::child", "--nocapture"])
            .env("FLUX_STORE", file)
            .env(RESUME, id)
            .output()
            .unwrap();
        assert!(child.status.success(), "{child:?}");
        String::from_utf8(child.stdout).unwrap()
    }

    /// Looks into the file from this process.
    async fn look(file: &Path, id: &str) -> (Execution<String>, usize) {
        let engine = Engine::open(file).await.unwrap();
        let run = reimburse.on(&engine).get(id).await.unwrap();
        let events = run.events().await.unwrap().len();
        (run, events)
    }

    #[tokio::test]
    async fn each_process_does_its_part_and_no_more() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("flux.db");

        let first = process(&file, "");
        assert!(
            first.contains("checking the receipts") && !first.contains("paying"),
            "{first}"
        );
        let id = first
            .split("-- resume ")
            .nth(1)
            .unwrap()
            .split_whitespace()
            .next()
            .unwrap();
        let (run, _) = look(&file, id).await;
        assert!(
            run.is_paused() && !run.has_finished() && !run.has_succeeded() && !run.has_failed()
        );
        assert_eq!(
            (run.pause_point(), run.output()),
            (Some("manual_approval"), None)
        );

        let second = process(&file, id);
        assert!(
            second.contains("paying") && !second.contains("checking the receipts"),
            "{second}"
        );
        let (run, events) = look(&file, id).await;
        assert_eq!(
            (run.status(), run.output().unwrap().as_str()),
            (Status::Completed, "Ada was paid 120")
        );

        let third = process(&file, id);
        assert!(
            third.contains("Ada was paid 120") && !third.contains("paying"),
            "{third}"
        );
        assert_eq!(look(&file, id).await.1, events);
    }
}
