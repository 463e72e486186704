//! The power is cut: the tail of the log is gone at any byte, and what is left is resumed to the right end.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use flux::Engine;

use crate::brittle::Crash;
use crate::process::{Fate, Site, come_to, drive, runtime, settle};
use crate::trial::seeds;
use crate::voyage::{OUTPUT, sail};
use crate::world::World;

/// Between which bytes the log may end: what is copied into the file already was safely in the log before.
fn bounds(site: &Site) -> Option<(u64, u64)> {
    let beside = |suffix: &str| {
        let mut path = site.file().into_os_string();
        path.push(suffix);
        fs::read(path).ok()
    };
    let (log, index) = (beside("-wal")?, beside("-shm")?);
    let word = |at: usize| Some(u32::from_ne_bytes(index.get(at..at + 4)?.try_into().ok()?));
    let page = u32::from_be_bytes(log.get(8..12)?.try_into().ok()?);
    let at = |frame: u32| 32 + u64::from(frame) * u64::from(24 + page);
    let (last, copied) = (word(16)?, word(96)?);
    Some((at(copied), at(last).min(log.len() as u64)))
}

/// Copies the file, and the log up to `end`, with what a torn write may leave after it.
fn copy_cut(site: &Site, to: &Path, end: u64, torn: &[u8]) {
    fs::copy(site.file(), to.join("flux.db")).unwrap();
    let mut path = site.file().into_os_string();
    path.push("-wal");
    let mut log = fs::read(path).unwrap();
    log.truncate(usize::try_from(end).unwrap());
    log.extend(torn);
    fs::write(to.join("flux.db-wal"), log).unwrap();
    copy_locks(site, to);
}

/// A power cut leaves the lock files, which show that their owners are dead. Without them that takes a while to tell.
fn copy_locks(site: &Site, to: &Path) {
    let mut from = site.file().into_os_string();
    from.push("-workers");
    let to = to.join("flux.db-workers");
    fs::create_dir(&to).unwrap();
    for file in fs::read_dir(from).unwrap() {
        let file = file.unwrap();
        fs::copy(file.path(), to.join(file.file_name())).unwrap();
    }
}

/// Resumes everything that is left, and starts what is not.
fn resumes_to_the_right_end(folder: &Path, ids: &[&str]) -> Result<usize, String> {
    let world = Arc::<World>::default();
    let engine = Engine::builder()
        .sqlite(folder.join("flux.db"))
        .state(Arc::clone(&world));
    runtime().block_on(async {
        let engine = engine.build().await.map_err(|error| error.to_string())?;
        world.set_engine(Some(&engine));
        let mut left = 0;
        for id in ids {
            match engine.history(*id).await {
                Ok(events) => {
                    crate::history::check(&events)?;
                    left += events.len();
                }
                Err(flux::Error::ExecutionNotFound { .. }) => {}
                Err(error) => return Err(error.to_string()),
            }
            let run = sail.on(&engine).run(10).execution_id(*id).await;
            let _ = run.map_err(|error| format!("{id}: {error}"))?;
            let end = come_to(&drive(&engine, id).await);
            if end != format!("{OUTPUT:?}") {
                return Err(format!("{id} came to {end}"));
            }
        }
        settle(&engine).await;
        world.set_engine(None);
        Ok(left)
    })
}

#[test]
fn whatever_is_left_of_the_log_is_resumed_to_the_right_output() {
    let ids = ["p", "q", "r"];
    for seed in seeds() {
        let mut dice = fastrand::Rng::with_seed(seed);
        let site = Site::new();
        let crash = Crash {
            at: dice.u32(20..80),
            after: true,
        };
        assert!(site.play_all(&Fate::AtWrite(crash), &ids).was_killed);
        let Some((least, most)) = bounds(&site) else {
            println!("seed {seed}: no log was left");
            continue;
        };
        let mut left = Vec::new();
        for _ in 0..8 {
            let end = dice.u64(least..=most);
            let torn: Vec<u8> = (0..dice.usize(..5000)).map(|_| dice.u8(..)).collect();
            let folder = tempfile::tempdir().unwrap();
            copy_cut(&site, folder.path(), end, &torn);
            let resumed = resumes_to_the_right_end(folder.path(), &ids);
            left.push(resumed.unwrap_or_else(|error| {
                panic!("FLUX_SEED={seed}, {crash:?}, {end} bytes of {least} to {most}: {error}")
            }));
        }
        println!("seed {seed}: of all events there were left {left:?}");
    }
}
