//! Processes that die: this test binary once more, in a role.

use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use flux::sqlite::SqliteStore;
use flux::store::{Filter, Store};
use flux::{Engine, Error, Event, EventSeq, Execution, Status};

use crate::brittle::{Brittle, Crash};
use crate::history;
use crate::interpret::{Input, interpret, value_of};
use crate::program::Node;
use crate::voyage::{answer, sail};
use crate::world::{Death, World};

/// The execution that every role runs.
pub(crate) const ID: &str = "p";

const FOLDER: &str = "FLUX_CRASH_FOLDER";
const AT_WRITE: &str = "FLUX_CRASH_AT_WRITE";
const IN_BODY: &str = "FLUX_CRASH_IN_BODY";
const IDS: &str = "FLUX_CRASH_IDS";
const PROGRAM: &str = "FLUX_CRASH_PROGRAM";

/// How a process is to die.
#[derive(Clone, Debug)]
pub(crate) enum Fate {
    Lives,
    AtWrite(Crash),
    InBody(Death),
}

/// A folder with a store and the traces that bodies leave.
pub(crate) struct Site(tempfile::TempDir);

/// One execution as the file has it.
pub(crate) type Histories = std::collections::BTreeMap<String, (Status, Vec<Event>)>;

/// How a process ended.
pub(crate) struct Ended {
    pub(crate) was_killed: bool,
    /// What it came to, if it got so far.
    pub(crate) output: Option<String>,
    pub(crate) writes: u32,
    pub(crate) said: String,
}

impl Site {
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    pub(crate) fn file(&self) -> PathBuf {
        self.0.path().join("flux.db")
    }

    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }

    /// Sets a process to work on the voyage, or on a program.
    pub(crate) fn start(&self, fate: &Fate, program: Option<&Node>) -> Child {
        let mut command = self.command(fate);
        if let Some(program) = program {
            command.env(PROGRAM, serde_json::to_string(program).unwrap());
        }
        command.spawn().unwrap()
    }

    fn command(&self, fate: &Fate) -> Command {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args([
            "--exact",
            "process::play",
            "--nocapture",
            "--test-threads",
            "1",
        ]);
        command
            .env(FOLDER, self.path())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        match fate {
            Fate::Lives => {}
            Fate::AtWrite(crash) => {
                command.env(AT_WRITE, format!("{} {}", crash.at, crash.after));
            }
            Fate::InBody(death) => {
                command.env(IN_BODY, format!("{} {}", death.in_body, death.after));
            }
        }
        command
    }

    /// Lets a process work until it ends.
    pub(crate) fn play(&self, fate: &Fate, program: Option<&Node>) -> Ended {
        ended(self.start(fate, program))
    }

    /// Lets a process make several voyages at once, until it ends.
    pub(crate) fn play_all(&self, fate: &Fate, ids: &[&str]) -> Ended {
        ended(self.command(fate).env(IDS, ids.join(" ")).spawn().unwrap())
    }

    /// Every history in the file.
    pub(crate) fn histories(&self) -> Histories {
        let Ok(store) = SqliteStore::open_blocking(self.file()) else {
            return Histories::new();
        };
        runtime().block_on(async {
            let all = Filter {
                limit: 1 << 20,
                ..Filter::default()
            };
            let mut histories = Histories::new();
            for record in store.executions(all).await.unwrap() {
                let events = store
                    .events(record.key, EventSeq::FIRST, 1 << 20)
                    .await
                    .unwrap();
                histories.insert(record.id.to_string(), (record.status, events));
            }
            histories
        })
    }

    /// What bodies have left, a line each: `begin` or `end`, the call's key, the body and its attempt.
    pub(crate) fn traces(&self) -> Vec<String> {
        let text = std::fs::read_to_string(self.path().join("traces")).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    }

    /// Every history is whole, and everything has ended.
    pub(crate) fn check_whole(&self) -> Result<(), String> {
        for (id, (status, events)) in self.histories() {
            history::check(&events)
                .map_err(|error| format!("{id}: {error}\n{}", history::lines(&events)))?;
            if !status.is_finished() {
                return Err(format!(
                    "{id} is left {status}\n{}",
                    history::lines(&events)
                ));
            }
        }
        Ok(())
    }
}

/// Waits for the end of a process.
pub(crate) fn ended(child: Child) -> Ended {
    let output = child.wait_with_output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let said = |what: &str| {
        let line = text.lines().find_map(|line| line.split_once(what));
        line.map(|(_, said)| said.to_owned())
    };
    Ended {
        was_killed: output.status.signal() == Some(9),
        output: said("@OUTPUT "),
        writes: said("@WRITES ").map_or(0, |writes| writes.parse().unwrap()),
        said: format!(
            "{}\n{text}\n{}",
            output.status,
            String::from_utf8_lossy(&output.stderr)
        ),
    }
}

pub(crate) fn runtime() -> tokio::runtime::Runtime {
    let threads = tokio::runtime::Builder::new_multi_thread();
    { threads }.worker_threads(2).enable_all().build().unwrap()
}

/// The other side: does nothing unless it is a process of its own.
#[test]
fn play() {
    let Some(folder) = std::env::var_os(FOLDER).map(PathBuf::from) else {
        return;
    };
    let pair = |name: &str| {
        let text = std::env::var(name).ok()?;
        let (what, after) = text.split_once(' ')?;
        Some((what.to_owned(), after.parse::<bool>().unwrap()))
    };
    let crash = pair(AT_WRITE).map(|(at, after)| Crash {
        at: at.parse().unwrap(),
        after,
    });
    let death = pair(IN_BODY).map(|(in_body, after)| Death { in_body, after });
    let world = Arc::new(World::on_file(folder.join("traces"), death));
    let store: Arc<dyn Store> =
        Arc::new(SqliteStore::open_blocking(folder.join("flux.db")).unwrap());
    let brittle = Brittle::real(&store, &world, crash);
    let output = runtime().block_on(async {
        let engine = Engine::builder()
            .shared_store(brittle.clone())
            .state(Arc::clone(&world));
        let engine = engine.build().await.unwrap();
        world.set_engine(Some(&engine));
        if let Ok(program) = std::env::var(PROGRAM) {
            let node = serde_json::from_str(&program).unwrap();
            let place = "0".to_owned();
            let run = interpret.on(&engine).run(Input { place, node });
            let _ = run.execution_id(ID).await.unwrap();
            let end = come_to(&drive(&engine, ID).await);
            settle(&engine).await;
            return end;
        }
        let ids = std::env::var(IDS).unwrap_or_else(|_| ID.to_owned());
        let voyages = ids.split(' ').map(async |id| {
            let _ = sail.on(&engine).run(10).execution_id(id).await.unwrap();
            come_to(&drive(&engine, id).await)
        });
        let ends = futures::future::join_all(voyages).await.join(" ");
        settle(&engine).await;
        ends
    });
    println!("\n@OUTPUT {output}\n@WRITES {}", brittle.writes());
}

/// What an execution came to.
pub(crate) fn come_to(run: &Execution) -> String {
    run.output()
        .map_or_else(|| run.status().to_string(), ToString::to_string)
}

/// Goes on until the execution has finished, answering its pauses.
pub(crate) async fn drive(engine: &Engine, id: &str) -> Execution {
    let mut now = engine.get(id).await.unwrap();
    while !now.has_finished() {
        let next = match now.pause_points().first() {
            Some(point) => {
                let name = point.name();
                let value = if name.starts_with('0') {
                    value_of(name)
                } else {
                    answer(name)
                };
                engine.resume(id).at(point.full_name()).with(&value).await
            }
            None => engine.resume(id).await,
        };
        now = match next {
            Ok(run) => run,
            // A crash came between the answer and the word of it.
            Err(Error::NotPausedAt { .. } | Error::NotPaused { .. }) => {
                engine.get(id).await.unwrap()
            }
            Err(error) => panic!("{error}"),
        };
    }
    now
}

/// Children that were let go are cancelled by drivers of their own, or by a recovery: lets them come to their end.
pub(crate) async fn settle(engine: &Engine) {
    loop {
        let recovered = engine.recover().await.unwrap();
        assert!(recovered.failures.is_empty(), "{:?}", recovered.failures);
        let unfinished = engine.list().status(Status::Running).status(Status::Paused);
        match unfinished.await.unwrap().first() {
            Some(left) if !left.is_paused() => {
                engine.get(left.execution_id()).await.map(drop).unwrap()
            }
            Some(left) => panic!("{left} is left"),
            None => return,
        }
    }
}
