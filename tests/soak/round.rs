//! One round: a storm, a calm, and then everything is looked at.

use std::path::Path;
use std::time::Instant;

use crate::chaos::{self, Count, Crowd};
use crate::feature::{ALL, begin_round};
use crate::people::People;
use crate::plan::{self, Plan};
use crate::site::Ground;
use crate::{check, command, desk, program, settle};

/// All rounds, up to the first that fails.
pub fn all() {
    for plan in plan::rounds() {
        begin_round(plan.seed);
        let on: Vec<_> = ALL.into_iter().filter(|feature| feature.is_on()).collect();
        println!("with {on:?}");
        let mut ground = Ground::new();
        println!("FLUX_SEED={}", plan.seed);
        let told = program::runtime().block_on(one(plan, &ground));
        match told {
            Ok(told) => println!("{told}"),
            Err(wrong) => {
                let kept = ground.keep();
                panic!(
                    "FLUX_SEED={}: {wrong}\nkept in {}",
                    plan.seed,
                    kept.display()
                );
            }
        }
    }
}

async fn one(plan: Plan, ground: &Ground) -> Result<String, String> {
    let site = &ground.site;
    let engine = program::builder(site).build().await.unwrap();
    ground.lay_out();
    desk::furnish(&engine).await.unwrap();
    let binary = command::binary(site);
    let binary = binary.as_deref();
    let mut people = People::of(&engine, plan.seed);

    let (mut crowd, count) = storm(plan, binary, ground, &mut people).await?;
    let calmed = Instant::now();
    let stuck = settle::to_the_end(&mut people).await;
    let settled = calmed.elapsed();
    if !stuck.is_empty() {
        let mut told = format!("{} are stuck:\n", stuck.len());
        for run in &stuck {
            told += &format!("{run}, owner {:?}\n", run.worker());
        }
        for run in stuck.iter().take(3) {
            told += &settle::tell(binary, site, run).await;
        }
        return Err(told);
    }
    crowd.tend()?;
    drop(crowd);
    let checked = check::everything(binary, site, &engine).await?;
    let happened = count.iter().map(|(what, count)| format!("{count} {what}"));
    let happened = happened.collect::<Vec<_>>().join(", ");
    Ok(format!("{checked}; {happened}; settled in {settled:.1?}"))
}

/// Everything happens while people do what they do. Much of it makes them wait, so it has a thread of its own.
async fn storm(
    plan: Plan,
    binary: Option<&Path>,
    ground: &Ground,
    people: &mut People<'_>,
) -> Result<(Crowd, Count), String> {
    let (site, is_small) = (ground.site.clone(), ground.is_small);
    let rages = std::thread::spawn(move || chaos::rage(site, is_small, plan));
    let site = ground.site.clone();
    let binary = binary.map(Path::to_owned);
    let commands = std::thread::spawn(move || command::use_for(binary.as_deref(), &site, plan));
    while !rages.is_finished() {
        people.serve().await;
        people.meddle().await;
        tokio::time::sleep(crate::script::ms(20)).await;
    }
    let left = rages.join().unwrap();
    commands.join().unwrap()?;
    left
}
