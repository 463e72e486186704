//! The workflow that runs a program, and the tasks it calls.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use flux::{Backoff, ExecutionContext, State, TaskCall, TaskError, durable, task, workflow};
use futures::future::{BoxFuture, FutureExt, join_all};
use futures::stream::{FuturesUnordered, StreamExt, iter};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::program::{Draw, Ends, Node, Sending, Work};
use super::world::World;

/// A program, and the place of the execution in it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Input {
    pub(crate) place: String,
    pub(crate) node: Node,
}

/// What the interpreter holds.
#[derive(Clone)]
struct Machine {
    world: Arc<World>,
    execution: String,
    /// Of the process, as the world counts them.
    life: u64,
}

const BACKOFF: Backoff = Backoff::Fixed(Duration::from_millis(3));

#[workflow]
pub(crate) async fn interpret(ctx: ExecutionContext<Input>) -> Result<u64, TaskError> {
    run_whole(&ctx).await
}

/// Loses the error's identity on the way out.
#[workflow]
pub(crate) async fn interpret_as_text(ctx: ExecutionContext<Input>) -> Result<u64, String> {
    run_whole(&ctx).await.map_err(|error| error.to_string())
}

#[workflow]
pub(crate) async fn interpret_as_anyhow(ctx: ExecutionContext<Input>) -> anyhow::Result<u64> {
    use anyhow::Context;
    run_whole(&ctx).await.context("the program")
}

async fn run_whole(ctx: &ExecutionContext<Input>) -> Result<u64, TaskError> {
    let world = Arc::clone(&ctx.state::<Arc<World>>());
    let execution = ctx.execution_id().to_string();
    let machine = Machine {
        life: world.code_begins(&execution),
        world,
        execution,
    };
    let input = ctx.input();
    machine.run(input.place.clone(), &input.node).await
}

#[task(max_attempts = 3)]
async fn work(place: String, work: Work, world: State<Arc<World>>) -> Result<u64, String> {
    let attempt = world.begin(&place);
    tokio::time::sleep(Duration::from_millis(work.ms.into())).await;
    match work.ends {
        Ends::Late => tokio::time::sleep(Duration::from_secs(3600)).await,
        Ends::WellAfterPanic if attempt == 1 => panic!("planned: {place}"),
        Ends::Badly => return Err(format!("planned: {place}")),
        Ends::WellAfterTwo if attempt <= 2 => return Err(format!("planned: {place}")),
        Ends::BadlyUntilFixed if !world.is_fixed() => return Err(format!("broken: {place}")),
        _ => {}
    }
    world.end(&place);
    Ok(value_of(&place))
}

#[task]
async fn twin(ms: u16, world: State<Arc<World>>) -> u64 {
    let number = world.next_number();
    tokio::time::sleep(Duration::from_millis(ms.into())).await;
    number
}

#[task]
async fn send(name: String, ms: u16, world: State<Arc<World>>) -> u64 {
    tokio::time::sleep(Duration::from_millis(ms.into())).await;
    let me = flux::task_context().expect("a body");
    let key = flux::idempotency_key();
    let engine = world.engine();
    let value = value_of(&name);
    // An execution that has ended meanwhile needs no signal any more.
    let _ = engine
        .signal_once(me.execution_id(), &name, &value, &key)
        .await;
    value
}

/// The value of whatever is done at this place.
pub(crate) fn value_of(place: &str) -> u64 {
    place
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325, |hash, byte| mix(hash, byte.into()))
}

fn mix(hash: u64, value: u64) -> u64 {
    (hash.rotate_left(5) ^ value).wrapping_mul(0x0100_0000_01b3)
}

type Value = Result<u64, TaskError>;

impl Machine {
    fn run<'a>(&'a self, place: String, node: &'a Node) -> BoxFuture<'a, Value> {
        async move {
            let value = self.run_node(&place, node).await;
            let seen = match &value {
                Ok(value) => format!("{value}"),
                Err(error) => format!("{error}"),
            };
            self.world.saw(self.life, &self.execution, &place, &seen);
            value
        }
        .boxed()
    }

    #[durable]
    async fn run_node(&self, place: &str, node: &Node) -> Value {
        let ms = |ms: &u16| Duration::from_millis((*ms).into());
        let at = |index: usize| format!("{place}.{index}");
        match node {
            Node::Task(it) => self.run_task(place, *it).await,
            Node::Twin(ms) => {
                let number = twin_at(place, *ms).await?;
                self.world.saw(
                    self.life,
                    &self.execution,
                    &format!("{place}!"),
                    &number.to_string(),
                );
                Ok(number)
            }
            Node::Drawn => {
                let drawn = uuid_at(place);
                self.world.saw(
                    self.life,
                    &self.execution,
                    &format!("{place}!"),
                    &drawn.to_string(),
                );
                Ok(10)
            }
            Node::Step(ms) => {
                let (ms, value) = (*ms, value_of(place));
                flux::step(place, async move {
                    tokio::time::sleep(Duration::from_millis(ms.into())).await;
                    Ok::<_, String>(value)
                })
                .await
            }
            Node::Sleep(span) => {
                flux::sleep(ms(span)).await;
                Ok(1)
            }
            Node::Coin(draw, heads, tails) => {
                if self.toss(place, *draw) {
                    self.run(at(0), heads).await
                } else {
                    self.run(at(1), tails).await
                }
            }
            Node::Publish => {
                flux::publish("place", place);
                Ok(2)
            }
            Node::Patched => Ok(flux::patched("change").into()),
            Node::Seq(parts) => {
                let mut value = 3;
                for (index, part) in parts.iter().enumerate() {
                    value = mix(value, self.run(at(index), part).await?);
                }
                Ok(value)
            }
            Node::Repeat(times, part) => {
                let mut value = 4;
                for turn in 0..*times {
                    value = mix(value, self.run(format!("{place}#{turn}"), part).await?);
                }
                Ok(value)
            }
            Node::Join(parts) => match &parts[..] {
                [a, b] => {
                    let (a, b) = tokio::join!(self.run(at(0), a), self.run(at(1), b));
                    Ok(mix(a?, b?))
                }
                [a, b, c, ..] => {
                    let joined =
                        tokio::join!(self.run(at(0), a), self.run(at(1), b), self.run(at(2), c));
                    Ok(mix(mix(joined.0?, joined.1?), joined.2?))
                }
                _ => Ok(0),
            },
            Node::TryJoin(a, b) => {
                let (a, b) = tokio::try_join!(self.run(at(0), a), self.run(at(1), b))?;
                Ok(mix(a, b))
            }
            Node::JoinAll(parts) => in_order(join_all(self.each(place, parts)).await),
            Node::Select(parts) => match &parts[..] {
                [a, b] => tokio::select! {
                    value = self.run(at(0), a) => value,
                    value = self.run(at(1), b) => value,
                },
                [a, b, c, ..] => tokio::select! {
                    value = self.run(at(0), a) => value,
                    value = self.run(at(1), b) => value,
                    value = self.run(at(2), c) => value,
                },
                _ => Ok(0),
            },
            Node::Ticks(span, part) => {
                let mut running = self.run(at(0), part);
                let mut ticks = 0;
                loop {
                    tokio::select! {
                        value = &mut running => return Ok(mix(value?, ticks)),
                        () = flux::sleep(ms(span)), if ticks < 5 => ticks += 1,
                    }
                }
            }
            Node::Buffered(many, parts) => {
                let running = iter(self.each(place, parts)).buffered((*many).into());
                in_order(running.collect().await)
            }
            Node::BufferUnordered(many, parts) => {
                let running = iter(self.each(place, parts)).buffer_unordered((*many).into());
                in_any_order(running.collect().await)
            }
            Node::Unordered(parts) => {
                let running: FuturesUnordered<_> = self.each(place, parts).into_iter().collect();
                in_any_order(running.collect().await)
            }
            Node::Shuffled(parts) => {
                let parts: HashMap<usize, Work> = parts.iter().copied().enumerate().collect();
                let running = parts
                    .into_iter()
                    .map(async |(index, part)| (index, self.run_task(&at(index), part).await));
                // What is made of the results must not depend on the order of the map.
                let values: BTreeMap<_, _> = join_all(running).await.into_iter().collect();
                in_order(values.into_values().collect())
            }
            Node::Timeout(limit, part) => {
                match flux::timeout(ms(limit), self.run(at(0), part)).await {
                    Ok(value) => value,
                    Err(_) => Ok(5),
                }
            }
            Node::Catch(part) => Ok(self.run(at(0), part).await.unwrap_or(6)),
            Node::Signal(ms, sending) => self.run_signal(place, *ms, *sending).await,
            Node::Pause => Ok(flux::pause(place).value::<u64>().await),
            Node::Child(part) => {
                let input = Input {
                    place: at(0),
                    node: (**part).clone(),
                };
                interpret.call(input).await
            }
        }
    }

    fn each<'a>(&'a self, place: &str, parts: &'a [Node]) -> Vec<BoxFuture<'a, Value>> {
        let at = |(index, part)| self.run(format!("{place}.{index}"), part);
        parts.iter().enumerate().map(at).collect()
    }

    async fn run_task(&self, place: &str, it: Work) -> Value {
        let call = work(place.to_owned(), it);
        match it.ends {
            Ends::Late => call.timeout(Duration::from_millis(5)).max_attempts(1),
            Ends::Badly | Ends::BadlyUntilFixed => call.max_attempts(1 + u32::from(it.ms % 2)),
            _ => call,
        }
        .backoff(BACKOFF)
        .await
    }

    async fn run_signal(&self, place: &str, ms: u16, sending: Sending) -> Value {
        let wait = || flux::signal::<u64>(place);
        match sending {
            Sending::Before => {
                send(place.to_owned(), ms).await?;
                Ok(wait().await)
            }
            Sending::Meanwhile => {
                let (value, sent) = tokio::join!(wait(), send(place.to_owned(), ms));
                sent.map(|sent| mix(sent, value))
            }
            Sending::Limited(limit) => {
                let limited = flux::timeout(Duration::from_millis(limit.into()), wait());
                let (value, sent) = tokio::join!(limited, send(place.to_owned(), ms));
                sent.map(|sent| mix(sent, value.unwrap_or(7)))
            }
        }
    }

    fn toss(&self, place: &str, draw: Draw) -> bool {
        let drawn = match draw {
            Draw::Random => flux::random::<u64>(),
            Draw::Uuid => u64::from(uuid_at(place).as_bytes()[0]),
            Draw::Time => flux::now()
                .duration_since(std::time::UNIX_EPOCH)
                .map_or(0, |since| u64::from(since.subsec_millis())),
        };
        self.world.saw(
            self.life,
            &self.execution,
            &format!("{place}?"),
            &drawn.to_string(),
        );
        drawn % 2 == 0
    }
}

fn in_order(values: Vec<Value>) -> Value {
    values
        .into_iter()
        .try_fold(8, |all, value| Ok(mix(all, value?)))
}

fn in_any_order(values: Vec<Value>) -> Value {
    values
        .into_iter()
        .try_fold(9_u64, |all, value| Ok(all.wrapping_add(value?)))
}

/// Equal calls stand in this many lines: which one a place calls is drawn from its name.
const LINES: u64 = 12;

fn twin_at(place: &str, ms: u16) -> TaskCall<u64> {
    match value_of(place) % LINES {
        0 => twin(ms),
        1 => twin(ms),
        2 => twin(ms),
        3 => twin(ms),
        4 => twin(ms),
        5 => twin(ms),
        6 => twin(ms),
        7 => twin(ms),
        8 => twin(ms),
        9 => twin(ms),
        10 => twin(ms),
        _ => twin(ms),
    }
}

fn uuid_at(place: &str) -> Uuid {
    match value_of(place) % LINES {
        0 => flux::uuid(),
        1 => flux::uuid(),
        2 => flux::uuid(),
        3 => flux::uuid(),
        4 => flux::uuid(),
        5 => flux::uuid(),
        6 => flux::uuid(),
        7 => flux::uuid(),
        8 => flux::uuid(),
        9 => flux::uuid(),
        10 => flux::uuid(),
        _ => flux::uuid(),
    }
}
