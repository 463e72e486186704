//! What the other processes are: workers, and the desk.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use flux::{Engine, EngineBuilder};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Metadata, Subscriber};

use crate::clock::WallClock;
use crate::desk;
use crate::feature::Feature;
use crate::ledger::Ledger;
use crate::process;
use crate::site::Site;

pub use crate::process::version;

/// How long a process may stand still before others take over what it drives.
pub const STALL: Duration = Duration::from_secs(3);

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
    tracing::subscriber::set_global_default(Log).unwrap();
    let site = process::site();
    runtime().block_on(async {
        // The store may be locked or full.
        let engine = loop {
            match builder(&site).build().await {
                Ok(engine) => break engine,
                Err(error) => eprintln!("{}: {error}", std::process::id()),
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        };
        match role {
            "worker" => {
                let worker = engine.worker().concurrency(24).grace(STALL);
                worker.run_until(flux::shutdown_signal()).await.unwrap();
            }
            "desk" => desk::open(&engine, &site, process::seed()).await,
            other => panic!("there is no role {other}"),
        }
    });
}

/// Writes warnings and errors where the process's output goes.
struct Log;

struct Line(String);

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        use fmt::Write;
        let _ = write!(self.0, " {}={value:?}", field.name());
    }
}

impl Subscriber for Log {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        *metadata.level() <= Level::WARN
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut line = Line(String::new());
        event.record(&mut line);
        let now = flux::clock::Timestamp::from(std::time::SystemTime::now());
        eprintln!(
            "{now} {} {}{}",
            std::process::id(),
            event.metadata().level(),
            line.0
        );
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}
