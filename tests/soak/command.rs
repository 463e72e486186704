//! The command line, used beside everything else.

use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::Instant;

use fastrand::Rng;

use crate::feature::Feature;
use crate::ledger::Entries;
use crate::plan::Plan;
use crate::script::ms;
use crate::site::Site;

/// The binary `flux`, which `cargo test --workspace` builds, too; nothing where there is none of these sources.
pub fn binary(site: &Site) -> Option<PathBuf> {
    let me = std::env::current_exe().unwrap();
    let binary = me.parent()?.parent()?.join("flux");
    if !binary.exists() {
        println!("without the command line: there is no {}", binary.display());
        return None;
    }
    let checked = run(&binary, site, &["db", "check"]);
    if !checked.status.success() {
        let said = String::from_utf8_lossy(&checked.stderr);
        println!("without the command line, which is of other sources: {said}");
        return None;
    }
    Some(binary)
}

/// Runs a command on the store of a round.
pub fn run(binary: &Path, site: &Site, args: &[&str]) -> Output {
    let mut command = Command::new(binary);
    command.arg("--db").arg(site.store()).args(args);
    command.env("RUST_BACKTRACE", "0").output().unwrap()
}

/// Uses the command line for as long as planned; what was wrong with how a command ended.
pub fn use_for(binary: Option<&Path>, site: &Site, plan: Plan) -> Result<(), String> {
    let began = Instant::now();
    let Some(binary) = binary.filter(|_| Feature::Command.is_on()) else {
        return Ok(());
    };
    let mut dice = Rng::with_seed(plan.seed.rotate_left(7));
    while began.elapsed() < plan.storm {
        std::thread::sleep(ms(dice.u64(..600)));
        run_any(binary, site, &mut dice)?;
    }
    Ok(())
}

fn run_any(binary: &Path, site: &Site, dice: &mut Rng) -> Result<(), String> {
    let started = Entries::read(&site.ledger()).started;
    let recent = started.len().saturating_sub(40);
    let id = dice.choice(&started[recent..]).map_or("o0", |id| id);
    let may_hold = Feature::Hold.is_on();
    let commands: [&[&str]; 14] = [
        &["list", "-o", "json"],
        &["list", "--status", "failed"],
        &["show", id],
        &["show", id, "--tree", "--io"],
        &["status", id, "-v"],
        &["events", id],
        &["result", id],
        &["doctor"],
        &["queue", "list"],
        &["worker", "list"],
        &["schedule", "list"],
        &["db", "info"],
        &["resume", id],
        if may_hold {
            &["pause", id]
        } else {
            &["db", "check"]
        },
    ];
    let args = dice.choice(commands).unwrap();
    let output = run(binary, site, args);
    let said = String::from_utf8_lossy(&output.stderr);
    if output.status.code() == Some(101) || output.status.signal().is_some() {
        return Err(format!("`flux {args:?}`: {}: {said}", output.status));
    }
    Ok(())
}
