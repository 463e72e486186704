//! A disk that takes no more, and a folder that nobody may write: told as the store's fault, and gone on with later.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use flux::{Engine, Error, ExecutionContext, State, TaskError, task, workflow};

use crate::process::runtime;
use crate::world::World;

#[task]
async fn bulk(number: u32, world: State<Arc<World>>) -> String {
    let name = format!("bulk-{number}");
    world.begin(&name);
    world.end(&name);
    "x".repeat(100_000)
}

#[workflow]
async fn hoard(ctx: ExecutionContext<u32>) -> Result<usize, TaskError> {
    let mut size = 0;
    for number in 0..*ctx.input() {
        size += bulk(number).await?.len();
    }
    Ok(size)
}

/// A folder of its own size; unmounted when dropped.
struct Tmpfs(tempfile::TempDir);

impl Tmpfs {
    fn mount(size: &str) -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let mut mount = Command::new("mount");
        mount
            .args(["-t", "tmpfs", "-o", &format!("size={size}"), "tmpfs"])
            .arg(folder.path());
        let mounted = mount.output().is_ok_and(|output| output.status.success());
        mounted.then_some(Self(folder))
    }
}

impl Drop for Tmpfs {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(self.0.path()).status();
    }
}

async fn engine(file: &Path, world: &Arc<World>) -> Result<Engine, Error> {
    Engine::builder()
        .sqlite(file)
        .state(Arc::clone(world))
        .build()
        .await
}

#[test]
fn a_full_disk_is_the_stores_fault_and_the_execution_goes_on_once_there_is_room() {
    let Some(disk) = Tmpfs::mount("16m") else {
        println!("skipped: a tmpfs cannot be mounted here");
        return;
    };
    let ballast = disk.0.path().join("ballast");
    fs::write(&ballast, vec![1; 14 << 20]).unwrap();
    let world = Arc::<World>::default();
    runtime().block_on(async {
        let engine = engine(&disk.0.path().join("flux.db"), &world)
            .await
            .unwrap();
        let run = || hoard.on(&engine).run(40).execution_id("h");
        let full = run().await.expect_err("there is no room");
        assert!(matches!(full, Error::Store(_)), "{full:?}");
        assert!(full.to_string().contains("the disk is full"), "{full}");
        let before = engine.history("h").await.unwrap();
        assert!(!engine.get("h").await.unwrap().has_finished());

        fs::remove_file(&ballast).unwrap();
        let run = run().await.unwrap();
        assert_eq!(run.output(), Some(&4_000_000));
        let after = run.events().await.unwrap();
        assert_eq!(after[..before.len()], before);
        let done = world.ended();
        assert_eq!(done.len(), 40);
        assert!(
            done.values().all(|times| *times == 1),
            "a finished body ran again: {done:?}"
        );
    });
}

const FOLDER: &str = "FLUX_CRASH_READ_ONLY";

#[workflow]
async fn wait_a_while(_ctx: ExecutionContext) -> u32 {
    flux::pause("while").await;
    7
}

/// The other side: resumes what it cannot write.
#[test]
fn resume_where_nothing_can_be_written() {
    let Some(folder) = std::env::var_os(FOLDER).map(PathBuf::from) else {
        return;
    };
    let resumed = runtime().block_on(async {
        let engine = engine(&folder.join("flux.db"), &Arc::default()).await?;
        wait_a_while.on(&engine).resume("w").await
    });
    match resumed {
        Err(Error::Store(error)) => println!("\n@STORE {error}"),
        other => println!("\n@OTHER {other:?}"),
    }
}

#[test]
fn a_read_only_folder_is_the_stores_fault_and_the_execution_stays_as_it_was() {
    const NOBODY: u32 = 65_534;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("flux.db");
    let paused = async {
        let engine = engine(&file, &Arc::default()).await.unwrap();
        let run = wait_a_while
            .on(&engine)
            .run(())
            .execution_id("w")
            .await
            .unwrap();
        assert!(run.is_paused());
        run.events().await.unwrap()
    };
    let before = runtime().block_on(paused);
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o555)).unwrap();
    let me = std::env::current_exe().unwrap();
    let mut other = Command::new(me);
    other.args([
        "--exact",
        "disk::resume_where_nothing_can_be_written",
        "--nocapture",
    ]);
    let other = other.env(FOLDER, folder.path()).uid(NOBODY).output();
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let Some(output) = other.ok().filter(|output| output.status.success()) else {
        println!("skipped: no process can be started as another user here");
        return;
    };
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        said.contains("@STORE ") && said.contains("flux.db"),
        "{said}"
    );

    runtime().block_on(async {
        let engine = engine(&file, &Arc::default()).await.unwrap();
        assert_eq!(engine.history("w").await.unwrap(), before);
        let run = wait_a_while.on(&engine).resume("w").await.unwrap();
        assert_eq!(run.output(), Some(&7));
    });
}
