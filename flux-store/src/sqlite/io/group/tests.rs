//! Groups whose members misbehave, on a database in memory.

use std::sync::mpsc::{Receiver, Sender, channel};

use super::*;

/// Inserts its number, or does what it is told instead.
struct Puppet {
    number: i64,
    script: Script,
    written: Option<bool>,
    tells: Sender<(i64, &'static str)>,
}

#[derive(Clone, Copy)]
enum Script {
    Insert,
    InsertTwice,
    EndTransactionOnce,
}

impl Member for Puppet {
    fn run(&mut self, db: &Db) -> Result<(), Fault> {
        let insert = |number| db.connection.execute("INSERT INTO t VALUES (?1)", [number]);
        insert(self.number)?;
        match self.script {
            Script::Insert => Ok(()),
            Script::InsertTwice => Ok(insert(self.number).map(drop)?),
            Script::EndTransactionOnce => {
                self.script = Script::Insert;
                run(&db.connection, "ROLLBACK")?;
                run(&db.connection, "BEGIN")?;
                Err(Fault::TransactionEnded)
            }
        }
    }

    fn is_written(&self, _connection: &Connection) -> rusqlite::Result<Option<bool>> {
        Ok(self.written)
    }

    fn answer(self: Box<Self>, outcome: Outcome) {
        let word = match outcome {
            Outcome::Done => "done",
            Outcome::Failed(_) => "failed",
            Outcome::Unknown(_) => "unknown",
        };
        self.tells.send((self.number, word)).unwrap();
    }
}

struct Stage {
    db: Db,
    _folder: tempfile::TempDir,
    tells: Sender<(i64, &'static str)>,
    told: Receiver<(i64, &'static str)>,
}

impl Stage {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut db = Db::open(&folder.path().join("t.db")).unwrap();
        crate::sqlite::file::migrate::migrate(&mut db.connection).unwrap();
        let table = "CREATE TABLE t (x INTEGER PRIMARY KEY)";
        db.connection.execute_batch(table).unwrap();
        let (tells, told) = channel();
        Self {
            db,
            _folder: folder,
            tells,
            told,
        }
    }

    fn puppet(&self, number: i64, script: Script) -> Box<dyn Member> {
        self.knowing(number, script, None)
    }

    fn knowing(&self, number: i64, script: Script, written: Option<bool>) -> Box<dyn Member> {
        let tells = self.tells.clone();
        Box::new(Puppet {
            number,
            script,
            written,
            tells,
        })
    }

    fn settle(&self, group: Vec<Box<dyn Member>>) -> Vec<(i64, &'static str)> {
        settle(&self.db, group, &Blame::new("t.db")).answer();
        assert!(self.db.connection.is_autocommit());
        self.told.try_iter().collect()
    }

    fn rows(&self) -> Vec<i64> {
        let mut select = self.db.connection.prepare("SELECT x FROM t").unwrap();
        let rows = select.query_map([], |row| row.get(0)).unwrap();
        rows.collect::<Result<_, _>>().unwrap()
    }
}

#[test]
fn a_member_at_fault_fails_alone() {
    let stage = Stage::new();
    let group = (0..5)
        .map(|number| {
            let guilty = number == 1 || number == 3;
            let script = if guilty {
                Script::InsertTwice
            } else {
                Script::Insert
            };
            stage.puppet(number, script)
        })
        .collect();
    let told = stage.settle(group);
    let wanted = ["done", "failed", "done", "failed", "done"];
    assert_eq!(told, (0..).zip(wanted).collect::<Vec<_>>());
    assert_eq!(stage.rows(), [0, 2, 4]);
}

#[test]
fn a_group_whose_transaction_was_ended_starts_again() {
    use Script::{EndTransactionOnce, Insert, InsertTwice};
    let scripts = [
        Insert,
        EndTransactionOnce,
        InsertTwice,
        EndTransactionOnce,
        Insert,
    ];
    let stage = Stage::new();
    let group = (0..)
        .zip(scripts)
        .map(|(number, script)| stage.puppet(number, script));
    let told = stage.settle(group.collect());
    let wanted = ["done", "done", "failed", "done", "done"];
    assert_eq!(told, (0..).zip(wanted).collect::<Vec<_>>());
    assert_eq!(stage.rows(), [0, 1, 3, 4]);
}

/// A COMMIT that reports an error: what a member can tell holds for the whole group.
#[test]
fn after_a_doubtful_commit_the_members_are_asked() {
    for (known, wanted) in [
        ([None, None], "unknown"),
        ([None, Some(true)], "done"),
        ([Some(false), None], "failed"),
    ] {
        let stage = Stage::new();
        // Makes COMMIT report an error, after which nothing is written.
        stage.db.fence.raise();
        let group = (0..)
            .zip(known)
            .map(|(number, written)| stage.knowing(number, Script::Insert, written));
        let told = stage.settle(group.collect());
        assert_eq!(told, [(0, wanted), (1, wanted)]);
        assert_eq!(stage.rows(), [0; 0]);
        stage.db.fence.lower();
        assert_eq!(
            stage.settle(vec![stage.puppet(7, Script::Insert)]),
            [(7, "done")]
        );
    }
}

#[test]
fn a_file_that_stays_locked_fails_the_group() {
    let stage = Stage::new();
    stage
        .db
        .connection
        .busy_timeout(std::time::Duration::ZERO)
        .unwrap();
    let other = Connection::open(stage.db.connection.path().unwrap()).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let told = stage.settle(vec![
        stage.puppet(1, Script::Insert),
        stage.puppet(2, Script::Insert),
    ]);
    assert_eq!(told, [(1, "failed"), (2, "failed")]);
    other.execute_batch("COMMIT").unwrap();
    assert_eq!(
        stage.settle(vec![stage.puppet(1, Script::Insert)]),
        [(1, "done")]
    );
}
