//! Other processes: this test binary once more, in a role.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::Arc;

use flux_core::id::Epoch;
use flux_core::store::Store;
use flux_core::store::contract::given::{append, create, signal};
use flux_store::{Durability, SqliteOptions};

use super::given::runtime;

const ROLE: &str = "FLUX_TEST_ROLE";
const FILE: &str = "FLUX_TEST_FILE";
const DURABILITY: &str = "FLUX_TEST_DURABILITY";

/// A child that plays a role. It is killed when dropped.
pub(crate) struct Other {
    process: Child,
    says: BufReader<ChildStdout>,
    hears: Option<ChildStdin>,
}

impl Other {
    pub(crate) fn start(role: &str, file: &Path) -> Self {
        Self::start_with(role, file, Durability::Full)
    }

    pub(crate) fn start_with(role: &str, file: &Path, durability: Durability) -> Self {
        let mut process = Command::new(std::env::current_exe().unwrap())
            .args([
                "--exact",
                "child::play",
                "--nocapture",
                "--test-threads",
                "1",
            ])
            .env(ROLE, role)
            .env(FILE, file)
            .env(DURABILITY, format!("{durability:?}"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let says = BufReader::new(process.stdout.take().unwrap());
        let hears = process.stdin.take();
        Self {
            process,
            says,
            hears,
        }
    }

    pub(crate) fn id(&self) -> u32 {
        self.process.id()
    }

    /// Lets it go on from where it listens.
    pub(crate) fn tell(&mut self) {
        self.hears.as_mut().unwrap().write_all(b"go\n").unwrap();
    }

    /// The next thing it says; `None` when it has ended.
    pub(crate) fn hear(&mut self) -> Option<String> {
        let mut line = String::new();
        while self.says.read_line(&mut line).unwrap() > 0 {
            // The test harness has its own lines, and may have begun this one.
            if let Some((_, said)) = line.trim_end().split_once('@') {
                return Some(said.to_owned());
            }
            line.clear();
        }
        None
    }

    /// Kills it as `kill -9` does.
    pub(crate) fn kill(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }

    /// Waits for its end; true if it ended well.
    pub(crate) fn finish(&mut self) -> bool {
        drop(self.hears.take());
        while self.hear().is_some() {}
        self.process.wait().unwrap().success()
    }
}

impl Drop for Other {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn say(text: impl std::fmt::Display) {
    let mut out = std::io::stdout().lock();
    writeln!(out, "@{text}").unwrap();
    out.flush().unwrap();
}

fn listen() {
    let mut line = String::new();
    std::io::stdin().read_line(&mut line).unwrap();
}

/// Not a test by itself: what a child does.
#[test]
fn play() {
    let Ok(role) = std::env::var(ROLE) else {
        return;
    };
    let file = std::env::var_os(FILE).unwrap();
    let durability = match std::env::var(DURABILITY).as_deref() {
        Ok("Relaxed") => Durability::Relaxed,
        _ => Durability::Full,
    };
    let open = || -> Arc<dyn Store> {
        Arc::new(
            SqliteOptions::new(&file)
                .durability(durability)
                .open_blocking()
                .unwrap(),
        )
    };
    let id = format!("p{}", std::process::id());
    runtime().block_on(async {
        match role.as_str() {
            "open" => {
                say("ready");
                listen();
                let store = open();
                let guard = store.join().await.unwrap();
                create(&store, &id, guard.id()).await;
            }
            "write" => {
                let store = open();
                let guard = store.join().await.unwrap();
                let key = create(&store, &id, guard.id()).await;
                say("ready");
                listen();
                for seq in 2..=400 {
                    store.commit(append(key, Epoch(1), seq, seq)).await.unwrap();
                }
            }
            "write until told" => {
                let store = open();
                let guard = store.join().await.unwrap();
                let key = create(&store, &id, guard.id()).await;
                say("ready");
                listen();
                let told = std::thread::spawn(listen);
                let mut last = 1;
                while !told.is_finished() {
                    last += 1;
                    let more = append(key, Epoch(1), last, last);
                    store.commit(more).await.unwrap();
                }
                say(last);
            }
            "commit until killed" => {
                let store = open();
                let guard = store.join().await.unwrap();
                let key = create(&store, "a", guard.id()).await;
                for step in 1.. {
                    store
                        .commit(append(key, Epoch(1), 2 * step, 2 * step + 1))
                        .await
                        .unwrap();
                    say(2 * step + 1);
                }
            }
            "commit and die" => {
                let store = open();
                let guard = store.join().await.unwrap();
                let key = create(&store, "a", guard.id()).await;
                for step in 1..=100 {
                    store
                        .commit(append(key, Epoch(1), 2 * step, 2 * step + 1))
                        .await
                        .unwrap();
                }
                std::process::abort();
            }
            "own" => {
                let store = open();
                let guard = store.join().await.unwrap();
                create(&store, "a", guard.id()).await;
                say("ready");
                listen();
            }
            "post" => {
                let store = open();
                say("ready");
                listen();
                store.post(&"a".into(), signal("x", "1")).await.unwrap();
                say("posted");
                listen();
            }
            other => panic!("no such role: {other}"),
        }
    });
}
