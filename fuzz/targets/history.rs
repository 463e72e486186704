//! Histories with rows that nobody wrote: reading, showing and replaying them gives an answer or an error.

#![no_main]

use std::cell::RefCell;

use arbitrary::Arbitrary;
use flux::{Engine, ExecutionContext, ExecutionId, TaskError, task, workflow};
use libfuzzer_sys::fuzz_target;
use rusqlite::Connection;

#[task]
async fn add(one: u32, other: u32) -> u32 {
    one + other
}

#[workflow]
async fn sum_up(ctx: ExecutionContext<u32>) -> Result<u32, TaskError> {
    let sum = add(*ctx.input(), 1).await?;
    flux::sleep(std::time::Duration::ZERO).await;
    flux::publish("sum", &sum);
    let _ = flux::timeout(std::time::Duration::ZERO, flux::signal::<u32>("more")).await;
    add(sum, 2).await
}

#[derive(Arbitrary, Debug)]
struct Row<'a> {
    number: u8,
    kind: i8,
    at: i64,
    refers: Option<u8>,
    name: Option<&'a str>,
    payload: Option<&'a str>,
    meta: Option<&'a str>,
}

/// An execution that has completed, and the file that it lies in.
struct Desk {
    runtime: tokio::runtime::Runtime,
    engine: Engine,
    file: Connection,
    id: ExecutionId,
    key: i64,
    sound: Vec<i64>,
    _folder: tempfile::TempDir,
}

impl Desk {
    fn open() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("flux.db");
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        // A replay waits for a wake-up that is recorded to come again, for half a minute.
        let runtime = runtime.enable_all().start_paused(true).build().unwrap();
        let id = ExecutionId::from("it");
        let engine = runtime.block_on(async {
            let engine = Engine::open(&path).await.unwrap();
            let run = sum_up.on(&engine).run(1).execution_id(&id).await;
            assert!(run.unwrap().has_succeeded());
            engine
        });
        let file = Connection::open(&path).unwrap();
        file.execute_batch(
            "CREATE TABLE sound AS SELECT * FROM flux_events; PRAGMA synchronous = OFF",
        )
        .unwrap();
        let key = "SELECT eid FROM flux_executions WHERE id = 'it'";
        let key = file.query_row(key, [], |row| row.get(0)).unwrap();
        let mut numbers = file.prepare("SELECT key & 0xffffff FROM sound").unwrap();
        let numbers = numbers.query_map([], |row| row.get(0)).unwrap();
        let sound = numbers.collect::<Result<_, _>>().unwrap();
        Self {
            runtime,
            engine,
            id,
            key,
            sound,
            file: Connection::open(&path).unwrap(),
            _folder: folder,
        }
    }

    /// Puts rows into the history in the place of others or behind it.
    fn damage(&self, rows: &[Row<'_>]) -> rusqlite::Result<()> {
        let put_right =
            "BEGIN; DELETE FROM flux_events; INSERT INTO flux_events SELECT * FROM sound";
        self.file.execute_batch(put_right)?;
        let most = i64::try_from(self.sound.len()).unwrap() + 2;
        let mut insert = self.file.prepare_cached(
            "INSERT OR REPLACE INTO flux_events (key, kind, at, ref, name, payload, meta) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
        )?;
        for row in rows {
            let number = i64::from(row.number) % most + 1;
            let refers = row.refers.map(|refers| i64::from(refers) % most + 1);
            let values = (row.kind, row.at, refers, row.name, row.payload, row.meta);
            let (kind, at, refers, name, payload, meta) = values;
            insert.execute((
                self.key << 24 | number,
                kind,
                at,
                refers,
                name,
                payload,
                meta,
            ))?;
        }
        self.file.execute_batch("COMMIT")
    }

    fn read(&self) {
        self.runtime.block_on(async {
            let history = self.engine.history(&self.id).await;
            let replayed = self.engine.replay(&self.id).await;
            assert!(
                history.is_ok() || replayed.is_err(),
                "what cannot be read was replayed"
            );
            if let Ok(run) = self.engine.get(&self.id).await {
                let _ = run.calls().await;
                let _ = run.tasks().await;
                let _ = run.to_string();
            }
        });
    }
}

thread_local! {
    static DESK: RefCell<Option<Desk>> = const { RefCell::new(None) };
}

fuzz_target!(|rows: Vec<Row<'_>>| {
    DESK.with_borrow_mut(|desk| {
        let desk = desk.get_or_insert_with(Desk::open);
        desk.damage(&rows).unwrap();
        desk.read();
    });
});
