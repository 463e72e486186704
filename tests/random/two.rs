//! Two drivers of one execution: exactly one drives, and the one that lost it is refused and stops its bodies.

use std::sync::Arc;
use std::time::Duration;

use flux::store::Store;
use flux::{Engine, Error, ExecutionContext, State, TaskError, task, workflow};

use super::brittle::Brittle;
use super::harness::in_virtual_time;
use super::history;
use super::world::World;

struct Aborted(Arc<World>);

impl Drop for Aborted {
    fn drop(&mut self) {
        self.0.talk.aborted.notify_one();
    }
}

#[task]
async fn gated(world: State<Arc<World>>) -> u64 {
    world.talk.begun.notify_one();
    world.talk.go_on.notified().await;
    1
}

#[task]
async fn endless(world: State<Arc<World>>) -> u64 {
    let _aborted = Aborted(Arc::clone(&world));
    std::future::pending().await
}

#[workflow]
async fn contested(_ctx: ExecutionContext) -> Result<u64, TaskError> {
    tokio::select! {
        done = gated() => done,
        done = endless() => done,
    }
}

struct Side {
    engine: Engine,
    brittle: Arc<Brittle>,
    world: Arc<World>,
}

async fn side(store: &Arc<dyn Store>) -> Side {
    let world = Arc::<World>::default();
    let brittle = Brittle::new(store, &world, None);
    let engine = Engine::builder()
        .shared_store(brittle.clone())
        .state(Arc::clone(&world))
        .build();
    Side {
        engine: engine.await.expect("an engine"),
        brittle,
        world,
    }
}

fn memory() -> Arc<dyn Store> {
    Arc::new(flux::store::MemoryStore::new())
}

#[test]
fn a_second_driver_is_refused_while_the_first_lives() {
    in_virtual_time(1, async {
        let store = memory();
        let (one, other) = (side(&store).await, side(&store).await);
        let handle = contested
            .on(&one.engine)
            .start(())
            .execution_id("c")
            .await
            .unwrap();
        one.world.talk.begun.notified().await;
        let refused = contested.on(&other.engine).resume("c").await;
        assert!(
            matches!(refused, Err(Error::AlreadyRunning { .. })),
            "{refused:?}"
        );
        assert!(other.engine.recover().await.unwrap().executions.is_empty());
        one.world.talk.go_on.notify_one();
        assert_eq!(handle.wait().await.unwrap().output(), Some(&1));
    });
}

#[test]
fn a_driver_that_was_taken_over_is_refused_and_its_bodies_are_stopped() {
    in_virtual_time(2, async {
        let store = memory();
        let (stale, other) = (side(&store).await, side(&store).await);
        let running = tokio::spawn(contested.on(&stale.engine).run(()).execution_id("c"));
        stale.world.talk.begun.notified().await;
        // Its store no longer counts it among the living, and it does not know.
        stale.brittle.forget_owners();
        let resumed = tokio::spawn(contested.on(&other.engine).resume("c"));
        other.world.talk.begun.notified().await;
        stale.world.talk.go_on.notify_one();
        let refused = running.await.unwrap();
        assert!(
            matches!(refused, Err(Error::TakenOver { .. })),
            "{refused:?}"
        );
        stale.world.talk.aborted.notified().await;

        other.world.talk.go_on.notify_one();
        let run = resumed.await.unwrap().unwrap();
        assert_eq!(run.output(), Some(&1));
        history::check(&run.events().await.unwrap()).unwrap();
    });
}

/// PITFALL: a caller who waited for what another process drove waited for ever when that process died.
#[test]
fn who_waits_for_what_another_drives_takes_it_up_when_that_one_has_died() {
    in_virtual_time(4, async {
        let store = memory();
        let (first, other) = (side(&store).await, side(&store).await);
        let running = tokio::spawn(contested.on(&first.engine).run(()).execution_id("c"));
        first.world.talk.begun.notified().await;
        let waiting = tokio::spawn(contested.on(&other.engine).run(()).execution_id("c"));
        let handle = contested.on(&other.engine).start(()).execution_id("c");
        let handle = handle.await.unwrap();
        let heard = tokio::spawn(async move { handle.wait().await });
        tokio::time::sleep(Duration::from_secs(60)).await;
        assert!(!waiting.is_finished() && !heard.is_finished());

        first.brittle.kill();
        running.abort();
        other.world.talk.go_on.notify_one();
        assert_eq!(waiting.await.unwrap().unwrap().output(), Some(&1));
        match heard.await.unwrap() {
            Ok(run) => assert_eq!(run.output(), Some(&1)),
            Err(error) => assert!(matches!(error, Error::Interrupted { .. }), "{error}"),
        }
        history::check(&other.engine.history("c").await.unwrap()).unwrap();
    });
}

#[test]
fn of_many_that_resume_one_execution_at_once_one_drives_it() {
    in_virtual_time(3, async {
        let store = memory();
        let first = side(&store).await;
        let running = tokio::spawn(contested.on(&first.engine).run(()).execution_id("c"));
        first.world.talk.begun.notified().await;
        first.brittle.kill();
        running.abort();
        let mut sides = Vec::new();
        for _ in 0..8 {
            sides.push(side(&store).await);
            sides[sides.len() - 1].world.talk.go_on.notify_one();
        }
        let resumed = sides
            .iter()
            .map(|side| contested.on(&side.engine).resume("c"));
        let mut drove = 0;
        for resumed in futures::future::join_all(resumed).await {
            match resumed {
                Ok(run) => {
                    assert_eq!(run.output(), Some(&1));
                    drove += 1;
                }
                Err(Error::AlreadyRunning { .. }) => {}
                Err(error) => panic!("{error}"),
            }
        }
        assert!(drove >= 1);
        let engine = &sides[0].engine;
        tokio::time::sleep(Duration::from_secs(1)).await;
        history::check(&engine.history("c").await.unwrap()).unwrap();
    });
}
