//! People, who say words, answer what they are asked, and change their minds.

use std::collections::BTreeMap;
use std::time::Duration;

use fastrand::Rng;
use flux::{Engine, Execution, PausePoint, Status};

use crate::code::answer;
use crate::feature::Feature;

/// What people know.
pub struct People<'a> {
    engine: &'a Engine,
    dice: Rng,
    /// The next word for each execution.
    words: BTreeMap<String, u32>,
}

impl<'a> People<'a> {
    pub fn of(engine: &'a Engine, seed: u64) -> Self {
        Self {
            engine,
            dice: Rng::with_seed(!seed),
            words: BTreeMap::new(),
        }
    }

    /// What has not finished; nothing where the store does not answer.
    pub async fn open(&self) -> Option<Vec<Execution>> {
        use Status::{Paused, Pending, Running};
        let open = self
            .engine
            .list()
            .status(Pending)
            .status(Running)
            .status(Paused);
        open.limit(100_000).await.ok()
    }

    /// Gives everything that waits for people what it waits for.
    pub async fn serve(&mut self) {
        for run in self.open().await.unwrap_or_default() {
            if run.awaited_signals().iter().any(|name| name == "word") {
                self.say_word(&run).await;
            }
            for point in run.pause_points() {
                // A child's pause shows in its parent, too. It is answered where it is.
                if point.full_name() == point.name() {
                    let value = answer(point.name());
                    let resume = self.engine.resume(run.execution_id());
                    let _ = resume.at(point.full_name()).with(&value).request().await;
                }
            }
        }
    }

    /// What is on hold is released.
    pub async fn release(&mut self) {
        for run in self.open().await.unwrap_or_default() {
            if run.held().is_some() {
                let _ = self.engine.resume(run.execution_id()).request().await;
            }
        }
    }

    /// Says the next word, once, even if the answer that it was said is lost.
    async fn say_word(&mut self, run: &Execution) {
        let id = run.execution_id();
        let next = self.words.entry(id.to_string()).or_default();
        let key = next.to_string();
        let said = self.engine.signal_once(id, "word", &*next, &key).await;
        if said.is_ok() {
            *next += 1;
        }
    }

    /// Does something that was not asked for, and may not wait for the answer.
    pub async fn meddle(&mut self) {
        let Some(open) = self.open().await else {
            return;
        };
        let Some(run) = self.dice.choice(&open) else {
            return;
        };
        let does_leave = Feature::Leave.is_on() && self.dice.u32(..3) == 0;
        let patience = match does_leave {
            true => Duration::from_micros(self.dice.u64(..4000)),
            false => Duration::MAX,
        };
        let _ = tokio::time::timeout(patience, self.ask(run)).await;
    }

    async fn ask(&mut self, run: &Execution) {
        let (engine, id) = (self.engine, run.execution_id());
        match self.dice.u32(..24) {
            0..=5 => self.say_word(run).await,
            6 if Feature::Cancel.is_on() => drop(engine.cancel(id).await),
            7 if Feature::Terminate.is_on() => drop(engine.terminate(id, "enough").await),
            8..=10 if Feature::Hold.is_on() => drop(engine.pause(id).await),
            11..=13 if Feature::Hold.is_on() => self.release().await,
            14..=16 if Feature::Retry.is_on() => self.retry().await,
            17..=20 if Feature::Leave.is_on() => self.drive(run).await,
            _ => {}
        }
    }

    /// Answers and goes on with it here, for a moment.
    async fn drive(&mut self, run: &Execution) {
        let mut resume = self.engine.resume(run.execution_id());
        if let Some(point) = own_points(run).next() {
            resume = resume.at(point.full_name()).with(&answer(point.name()));
        } else if run.is_paused() && run.held().is_none() {
            return;
        }
        let moment = Duration::from_millis(self.dice.u64(..200));
        let _ = tokio::time::timeout(moment, resume).await;
    }

    async fn retry(&mut self) {
        let failed = self.engine.list().status(Status::Failed).limit(50).await;
        if let Some(run) = self.dice.choice(failed.unwrap_or_default()) {
            let _ = self.engine.retry(run.execution_id()).request().await;
        }
    }
}

/// A child's pause shows in its parent, too. It is answered where it is.
fn own_points(run: &Execution) -> impl Iterator<Item = &PausePoint> {
    let points = run.pause_points().iter();
    points.filter(|point| point.full_name() == point.name())
}
