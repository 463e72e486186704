//! A caller that leaves, or a call of the store that fails, at a random place of a random program: another engine brings
//! it to its right end, and the first one, which lives on, is not restarted.

use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use flux::store::Store;
use flux::{Engine, Error, Execution};
use futures::FutureExt as _;
use futures::future::FusedFuture as _;

use super::harness::{Ground, ID, check_histories, in_virtual_time};
use super::history::lines;
use super::interpret::{Input, interpret, value_of};
use super::program::{Grammar, Node};
use super::trial::for_programs;
use super::trip::{Calls, Mishap, Trip};

type Checked = Result<(), String>;

/// What happens to the first engine.
#[derive(Clone, Copy, Debug)]
enum Mischief {
    None,
    /// Its caller leaves after that many polls.
    Left(usize),
    /// That call of its store goes wrong, under a caller who waits.
    Store(&'static str, usize, Mishap),
    /// The same beside its worker.
    StoreOfWorker(&'static str, usize, Mishap),
}

impl Mischief {
    fn fault(self) -> Option<(&'static str, usize, Mishap)> {
        match self {
            Self::Store(call, at, mishap) | Self::StoreOfWorker(call, at, mishap) => {
                Some((call, at, mishap))
            }
            Self::None | Self::Left(_) => None,
        }
    }
}

/// What an undisturbed run came to, in how many polls and with which calls of the store.
struct Whole {
    end: String,
    polls: usize,
    calls: Calls,
}

fn input(node: &Node) -> Input {
    Input {
        place: "0".to_owned(),
        node: node.clone(),
    }
}

fn come_to(run: &Execution<u64>) -> String {
    run.output()
        .map_or_else(|| run.status().to_string(), u64::to_string)
}

/// Runs a program and answers its pauses, for as long as every call succeeds.
async fn run_in_person(engine: &Engine, node: &Node) -> Result<(), Error> {
    let on = interpret.on(engine);
    let mut run = on.run(input(node)).execution_id(ID).await?;
    while !run.has_finished() {
        let resume = on.resume(ID);
        run = match run.pause_points().first() {
            Some(point) => {
                let answer = value_of(point.name());
                resume.at(point.full_name()).with(&answer).await?
            }
            None => resume.await?,
        };
    }
    Ok(())
}

/// Polls `future` at most `most` times; how often it was polled.
async fn poll_times(future: impl Future, most: usize) -> usize {
    let mut future = pin!(future);
    let mut polls = 0;
    std::future::poll_fn(|cx| {
        polls += 1;
        match future.as_mut().poll(cx) {
            Poll::Pending if polls < most => Poll::Pending,
            _ => Poll::Ready(()),
        }
    })
    .await;
    polls
}

/// What the first engine does; in how many polls.
async fn begin(engine: Engine, node: &Node, mischief: Mischief) -> usize {
    match mischief {
        Mischief::StoreOfWorker(..) => {
            let start = interpret.on(&engine).start(input(node)).execution_id(ID);
            drop(start.await);
            0
        }
        Mischief::Left(polls) => poll_times(run_in_person(&engine, node), polls).await,
        Mischief::None | Mischief::Store(..) => {
            poll_times(run_in_person(&engine, node), usize::MAX).await
        }
    }
}

/// Starts the program if it is not there, and answers its pauses, until everything has finished; the worker of this
/// engine does the work that the other one leaves.
async fn finish(engine: &Engine, node: &Node) -> Result<Execution<u64>, String> {
    let told = |error: Error| error.to_string();
    for _ in 0..3_000 {
        tokio::time::sleep(Duration::from_millis(20)).await;
        let run = match interpret.on(engine).get(ID).await {
            Err(Error::ExecutionNotFound { .. }) => {
                let start = interpret.on(engine).start(input(node)).execution_id(ID);
                drop(start.for_worker().await.map_err(told)?);
                continue;
            }
            run => run.map_err(told)?,
        };
        if !run.has_finished() {
            answer(engine, &run).await;
        } else if engine
            .list()
            .await
            .map_err(told)?
            .iter()
            .all(Execution::has_finished)
        {
            return Ok(run);
        }
    }
    Err(format!("it hangs: {:?}", engine.list().await))
}

/// Answers the first pause point; a refusal is no news, since an earlier answer may be on its way.
async fn answer(engine: &Engine, run: &Execution<u64>) {
    let resume = engine.resume(ID);
    let asked = match run.pause_points().first() {
        Some(point) => {
            let resume = resume.at(point.full_name());
            resume.with(&value_of(point.name())).request().await
        }
        None if run.held().is_some() => resume.request().await,
        None => return,
    };
    drop(asked);
}

async fn engine_on(store: Arc<dyn Store>, ground: &Ground) -> Engine {
    let builder = Engine::builder().shared_store(store);
    let builder = builder.state(Arc::clone(&ground.world));
    builder.clock(ground.clock()).build().await.unwrap()
}

fn tried(seed: u64, node: &Node, mischief: Mischief) -> Result<Whole, String> {
    in_virtual_time(seed, async {
        let ground = Ground::new();
        let trip = match mischief.fault() {
            None => Trip::yielding(Arc::clone(&ground.store)),
            fault => Trip::new(Arc::clone(&ground.store), fault),
        };
        let first = engine_on(Arc::clone(&trip) as _, &ground).await;
        let other = engine_on(Arc::clone(&ground.store), &ground).await;
        ground.world.set_engine(Some(&other));
        let own = matches!(mischief, Mischief::StoreOfWorker(..)).then(|| first.worker().spawn());
        // The other engine has a worker as soon as something has gone wrong. The caller, if it has not left, hears of the
        // end, too.
        let mut begun = pin!(begin(first.clone(), node, mischief).fuse());
        let mut polls = 0;
        futures::select! {
            polled = begun => polls = polled,
            () = trip.tripped().fuse() => {}
        }
        let worker = other.worker().spawn();
        let finished = match begun.is_terminated() {
            true => finish(&other, node).await,
            // The caller has to be polled meanwhile, since it may drive.
            false => {
                let heard = tokio::time::timeout(Duration::from_secs(3600), begun);
                match futures::join!(finish(&other, node), heard) {
                    (finished, Ok(_)) => finished,
                    (finished, Err(_)) => finished.and(Err("the caller still waits".to_owned())),
                }
            }
        };
        worker.stop().await;
        if let Some(own) = own {
            own.stop().await;
        }
        ground.world.set_engine(None);
        let histories = ground.histories().await;
        let history = || histories.get(ID).map(|(_, events)| lines(events));
        let told = |error: String| format!("{error}\n{}", history().unwrap_or_default());
        let run = finished.map_err(told)?;
        check_histories(&ground).await?;
        let left_over = first.adopted() + other.adopted();
        if left_over > 0 {
            return Err(told(format!("{left_over} were driven by nobody")));
        }
        // A body whose result was not recorded may run once more, under the same key.
        if let Some((key, times)) = ground.world.ended().iter().find(|(_, times)| **times > 2) {
            return Err(told(format!("the finished body {key} ran {times} times")));
        }
        Ok(Whole {
            end: come_to(&run),
            polls,
            calls: trip.calls(),
        })
    })
}

fn some_mischief(whole: &Whole, dice: &mut fastrand::Rng) -> Mischief {
    if dice.u8(..3) == 0 {
        return Mischief::Left(dice.usize(1..=whole.polls));
    }
    let calls: Vec<(&'static str, usize)> = whole.calls.clone().into_iter().collect();
    let (call, count) = calls[dice.usize(..calls.len())];
    let is_commit = call == "commit";
    let mishaps = Mishap::ALL
        .into_iter()
        .filter(|mishap| is_commit || *mishap != Mishap::IsLost);
    let mishaps: Vec<Mishap> = mishaps.collect();
    let (at, mishap) = (dice.usize(1..=count), mishaps[dice.usize(..mishaps.len())]);
    match dice.bool() {
        true => Mischief::Store(call, at, mishap),
        false => Mischief::StoreOfWorker(call, at, mishap),
    }
}

fn another_engine_finishes_it(seed: u64, node: &Node) -> Checked {
    let whole = tried(seed, node, Mischief::None)?;
    let mut dice = fastrand::Rng::with_seed(seed ^ node.size() as u64);
    for _ in 0..4 {
        let mischief = some_mischief(&whole, &mut dice);
        let told = |error| format!("{mischief:?}: {error}");
        if std::env::var_os("FLUX_TRACE").is_some() {
            eprintln!("{mischief:?}");
        }
        let end = tried(seed, node, mischief).map_err(told)?.end;
        if node.is_predictable() && end != whole.end {
            let whole = whole.end;
            return Err(told(format!(
                "it came to {end}, and should come to {whole}"
            )));
        }
    }
    Ok(())
}

#[test]
fn what_one_engine_leaves_of_a_random_program_another_finishes() {
    for_programs("heir", Grammar::ALL, 150, another_engine_finishes_it);
}
