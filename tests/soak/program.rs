//! What the other processes are: workers, and the desk.

use std::sync::Arc;
use std::time::Duration;

use flux::{Engine, EngineBuilder};

use crate::clock::WallClock;
use crate::desk;
use crate::feature::{self, Feature};
use crate::ledger::Ledger;
use crate::process;
use crate::site::Site;

pub use crate::process::version;

/// How long a process may stand still before others take over what it drives.
pub const STALL: Duration = Duration::from_millis(1500);

pub fn builder(site: &Site) -> EngineBuilder {
    let builder = Engine::builder()
        .sqlite(site.store())
        .state(Arc::new(Ledger::open(&site.ledger())))
        .idle_after(Duration::from_millis(100))
        .cancel_window(Duration::from_secs(1))
        .stall_after(STALL)
        // Workers are killed at random, which is not the fault of what they drive.
        .max_recoveries(1000);
    if Feature::Clock.is_on() {
        builder.clock(WallClock::of(site.clock()))
    } else {
        builder
    }
}

pub fn runtime() -> tokio::runtime::Runtime {
    let threads = tokio::runtime::Builder::new_multi_thread();
    { threads }.worker_threads(2).enable_all().build().unwrap()
}

/// Plays a role.
pub fn play(role: &str) {
    let log = tracing_subscriber::fmt().with_writer(std::io::stderr);
    log.with_ansi(false)
        .with_max_level(tracing::Level::WARN)
        .init();
    feature::begin_round(process::seed());
    let site = process::site();
    runtime().block_on(async {
        // The store may be locked or full.
        let engine = loop {
            match builder(&site).build().await {
                Ok(engine) => break engine,
                Err(error) => eprintln!("{error}"),
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        };
        match role {
            "worker" => {
                let worker = engine
                    .worker()
                    .concurrency(24)
                    .grace(Duration::from_secs(3));
                worker.run_until(flux::shutdown_signal()).await.unwrap();
            }
            "desk" => desk::open(&engine, &site, process::seed()).await,
            other => panic!("there is no role {other}"),
        }
    });
}
