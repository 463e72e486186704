//! What a workflow does, as data that it takes as its input.

use std::time::Duration;

use fastrand::Rng;
use flux::ChildPolicy;
use serde::{Deserialize, Serialize};

use crate::feature::Feature;

pub type Script = Vec<Step>;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Step {
    /// A task that fails the first times.
    Work {
        ms: u64,
        fails: u32,
    },
    /// The same on a thread.
    Block {
        ms: u64,
    },
    /// A task that runs at most once.
    Fire {
        ms: u64,
    },
    /// A task that is undone.
    Reserve {
        ms: u64,
    },
    /// A transaction.
    Book,
    Nap {
        ms: u64,
    },
    /// Waits for the next word.
    Hear,
    /// Waits for the next word for some time.
    HearWithin {
        ms: u64,
    },
    /// Asks a person.
    Ask,
    /// Draws values.
    Draw,
    /// Leaves something to be done at the end.
    LeaveLate,
    Both(Script, Script),
    Race(Script, Script),
    Within {
        ms: u64,
        script: Script,
    },
    /// Goes on whatever error comes.
    Catch(Script),
    Call {
        script: Script,
        policy: ChildPolicy,
        /// Waits no longer than this.
        within: Option<u64>,
    },
    /// Fails.
    Fail,
    /// Waits until it is cancelled, for some time, and tidies up if it is.
    Listen {
        ms: u64,
    },
    /// Goes on with this under the same id.
    Again(Script),
}

pub fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// Writes scripts.
pub struct Author<'a> {
    pub dice: &'a mut Rng,
}

impl Author<'_> {
    fn one_in(&mut self, sides: u32) -> bool {
        self.dice.u32(..sides) == 0
    }

    /// A whole script, which may go on under the same id.
    pub fn write(&mut self) -> Script {
        let mut script = self.part(3, 2 + self.dice.clone().usize(..5));
        if self.one_in(8) {
            script.push(Step::Again(self.part(1, 3)));
        } else if self.one_in(8) {
            script.push(Step::Fail);
        }
        script
    }

    fn part(&mut self, depth: u32, length: usize) -> Script {
        (0..length.max(1)).map(|_| self.step(depth)).collect()
    }

    fn some(&mut self, depth: u32) -> Script {
        let length = self.dice.usize(1..=2);
        self.part(depth, length)
    }

    fn step(&mut self, depth: u32) -> Step {
        if depth > 0 && self.one_in(3) {
            return self.tree(depth - 1);
        }
        let ms = self.dice.u64(..40);
        match self.dice.u32(..20) {
            0..=5 => Step::Work {
                ms,
                fails: self.dice.u32(..3),
            },
            6 => Step::Block { ms },
            7 | 8 if Feature::Once.is_on() => Step::Fire { ms },
            9 | 10 if Feature::Undo.is_on() => Step::Reserve { ms },
            11 | 12 if Feature::Book.is_on() => Step::Book,
            13 => Step::Nap {
                ms: self.dice.u64(..1500),
            },
            14 => Step::Hear,
            15 if Feature::LostWaits.is_on() => Step::HearWithin { ms: 4 * ms },
            16 => Step::Ask,
            17 if Feature::Undo.is_on() => Step::LeaveLate,
            18 => Step::Listen { ms: 10 * ms },
            _ => Step::Draw,
        }
    }

    fn tree(&mut self, depth: u32) -> Step {
        match self.dice.u32(..10) {
            0..=2 => Step::Both(self.some(depth), self.some(depth)),
            3 if Feature::LostWaits.is_on() => Step::Race(self.some(depth), self.some(depth)),
            4 if Feature::LostWaits.is_on() => Step::Within {
                ms: self.dice.u64(..200),
                script: self.some(depth),
            },
            5 => {
                let mut script = self.some(depth);
                script.push(Step::Fail);
                Step::Catch(script)
            }
            6..=8 if Feature::Children.is_on() => self.call(depth),
            _ => Step::Catch(self.some(depth)),
        }
    }

    fn call(&mut self, depth: u32) -> Step {
        let policies = [
            ChildPolicy::Cancel,
            ChildPolicy::Abandon,
            ChildPolicy::Terminate,
        ];
        let is_left = Feature::LostChildren.is_on() && self.one_in(3);
        Step::Call {
            script: self.some(depth),
            policy: self.dice.choice(policies).unwrap(),
            within: is_left.then(|| self.dice.u64(..100)),
        }
    }
}
