//! The workflows, which perform scripts.

use std::sync::Mutex;

use flux::{ExecutionContext, TaskError, sqlite, workflow};
use futures::FutureExt;
use futures::future::BoxFuture;
use serde::{Deserialize, Serialize};

use crate::bodies::{block, fire, reserve, tidy, weigh, work};
use crate::program;
use crate::script::{Script, Step, ms};

/// The input of every workflow.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Order {
    pub tenant: String,
    pub lock: String,
    pub script: Script,
    /// What was heard before it went on under the same id.
    #[serde(default)]
    pub heard: Vec<u32>,
}

/// What the code was given.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Given {
    /// The words, in the order in which they came.
    pub heard: Vec<u32>,
    /// The answers, by pause point.
    pub answers: Vec<(String, u32)>,
}

/// What people answer.
pub fn answer(pause_point: &str) -> u32 {
    pause_point.bytes().fold(7, |sum: u32, byte| {
        sum.wrapping_mul(31).wrapping_add(byte.into())
    })
}

#[workflow]
pub async fn play(ctx: ExecutionContext<Order>) -> Result<Given, TaskError> {
    perform(ctx).await
}

#[workflow(max_attempts = 3)]
pub async fn play_again(ctx: ExecutionContext<Order>) -> Result<Given, TaskError> {
    perform(ctx).await
}

#[workflow(max_attempts = 2, retry = "restart")]
pub async fn play_over(ctx: ExecutionContext<Order>) -> Result<Given, TaskError> {
    perform(ctx).await
}

#[workflow(timeout = "1s", deadline = "8s")]
pub async fn play_briefly(ctx: ExecutionContext<Order>) -> Result<Given, TaskError> {
    perform(ctx).await
}

#[workflow(lock = "{lock}")]
pub async fn play_alone(ctx: ExecutionContext<Order>) -> Result<Given, TaskError> {
    perform(ctx).await
}

/// So many of [`play_in_turn`] at once.
pub const IN_TURN: i32 = 2;

#[workflow(concurrency = 2, on_conflict = "queue")]
pub async fn play_in_turn(ctx: ExecutionContext<Order>) -> Result<Given, TaskError> {
    perform(ctx).await
}

async fn perform(ctx: ExecutionContext<Order>) -> Result<Given, TaskError> {
    let order = ctx.input().clone();
    if program::version() == 2 && flux::patched("weigh") {
        weigh("first".to_owned()).await?;
    }
    let stage = Stage {
        ctx,
        given: Mutex::new(Given {
            heard: order.heard.clone(),
            ..Given::default()
        }),
    };
    stage.script("s", &order.script).await?;
    Ok(stage.given.into_inner().unwrap())
}

struct Stage {
    ctx: ExecutionContext<Order>,
    given: Mutex<Given>,
}

type Performed = Result<(), TaskError>;

impl Stage {
    fn script<'a>(&'a self, at: &str, script: &'a [Step]) -> BoxFuture<'a, Performed> {
        let at = at.to_owned();
        async move {
            for (index, step) in script.iter().enumerate() {
                self.step(format!("{at}.{index}"), step).await?;
            }
            Ok(())
        }
        .boxed()
    }

    fn heard(&self, word: u32) {
        self.given.lock().unwrap().heard.push(word);
    }

    async fn step(&self, at: String, step: &Step) -> Performed {
        match step {
            Step::Work { ms, fails } => work(at, *ms, *fails).await.map(drop),
            Step::Block { ms } => block(at, *ms).await.map(drop),
            Step::Fire { ms } => fire(at, *ms).await.map(drop),
            Step::Reserve { ms } => reserve(at, *ms).await.map(drop),
            Step::Book => self.book(at).await,
            Step::Nap { ms: length } => {
                flux::sleep(ms(*length)).await;
                Ok(())
            }
            Step::Hear => {
                self.heard(flux::signal::<u32>("word").await);
                Ok(())
            }
            Step::HearWithin { ms: length } => {
                let word = flux::timeout(ms(*length), flux::signal::<u32>("word")).await;
                word.into_iter().for_each(|word| self.heard(word));
                Ok(())
            }
            Step::Ask => {
                let answer = flux::pause(&*at).value::<u32>().await;
                self.given.lock().unwrap().answers.push((at, answer));
                Ok(())
            }
            Step::Draw => {
                let drawn = (flux::uuid(), flux::random::<u64>());
                flux::publish("drawn", &drawn);
                Ok(())
            }
            Step::LeaveLate => {
                self.ctx.on_exit(move || tidy(at));
                Ok(())
            }
            Step::Both(one, other) => {
                let one = self.script(&format!("{at}a"), one);
                let (one, other) = tokio::join!(one, self.script(&format!("{at}b"), other));
                one.and(other)
            }
            Step::Race(one, other) => {
                let (one_at, other_at) = (format!("{at}a"), format!("{at}b"));
                tokio::select! {
                    biased;
                    done = self.script(&one_at, one) => done,
                    done = self.script(&other_at, other) => done,
                }
            }
            Step::Within { ms: length, script } => {
                let done = flux::timeout(ms(*length), self.script(&at, script)).await;
                done.unwrap_or(Ok(()))
            }
            Step::Catch(script) => {
                let _ = self.script(&at, script).await;
                Ok(())
            }
            Step::Call {
                script,
                policy,
                within,
            } => {
                let order = Order {
                    script: script.clone(),
                    heard: Vec::new(),
                    ..self.ctx.input().clone()
                };
                let child = play.call(order).when_parent_ends(*policy);
                match within {
                    None => child.await.map(drop),
                    Some(length) => {
                        let done = flux::timeout(ms(*length), child).await;
                        done.map_or(Ok(()), |done| done.map(drop))
                    }
                }
            }
            Step::Fail => flux::step("fail", async { Err::<(), _>("it is to fail") }).await,
            Step::Listen { ms: length } => {
                tokio::select! {
                    biased;
                    () = flux::sleep(ms(*length)) => Ok(()),
                    () = flux::cancelled() => tidy(at).await.map(drop),
                }
            }
            Step::Again(script) => {
                let order = Order {
                    script: script.clone(),
                    heard: self.given.lock().unwrap().heard.clone(),
                    ..self.ctx.input().clone()
                };
                match self.ctx.continue_as_new(order).await {}
            }
        }
    }

    async fn book(&self, at: String) -> Performed {
        let id = self.ctx.execution_id().to_string();
        sqlite::transaction("book", move |db| {
            // No key: what is booked twice is to be seen.
            db.execute("INSERT INTO booked VALUES (?1, ?2)", (&id, &at))
                .map(drop)
        })
        .await
    }
}
