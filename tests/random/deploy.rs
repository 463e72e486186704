//! Another build of the same program, whose lines are elsewhere.
//!
//! The source of a test cannot change while it runs. So it is the recorded lines that do: a process reads every history
//! as if a build had written it whose lines stood where these say.

use std::sync::Mutex;

use fastrand::Rng;
use flux::{Event, Payload};

/// A build after another, each with other lines.
#[derive(Debug)]
pub(crate) struct Deploys {
    dice: Mutex<Rng>,
    kinds: Kinds,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kinds {
    None,
    /// Every file moves as a whole.
    Shifts,
    Any,
}

impl Deploys {
    pub(crate) fn any(seed: u64) -> Self {
        Self::of(Kinds::Any, seed)
    }

    pub(crate) fn shifts(seed: u64) -> Self {
        Self::of(Kinds::Shifts, seed)
    }

    pub(crate) fn none() -> Self {
        Self::of(Kinds::None, 0)
    }

    fn of(kinds: Kinds, seed: u64) -> Self {
        let dice = Mutex::new(Rng::with_seed(seed));
        Self { dice, kinds }
    }

    pub(crate) fn next(&self) -> Deploy {
        let dice = &mut *self.dice.lock().unwrap();
        let kind = match self.kinds {
            Kinds::None => Kind::Shift(0),
            Kinds::Any if dice.bool() => Kind::Reformat,
            Kinds::Any | Kinds::Shifts => Kind::Shift(dice.i64(-3..=3)),
        };
        Deploy {
            seed: dice.u64(..),
            kind,
        }
    }
}

/// Where the lines of the build stood that wrote the histories.
#[derive(Clone, Debug)]
pub(crate) struct Deploy {
    seed: u64,
    kind: Kind,
}

#[derive(Clone, Copy, Debug)]
enum Kind {
    /// Lines were inserted or removed above everything.
    Shift(i64),
    /// Lines were inserted and removed anywhere, and all were formatted anew.
    Reformat,
}

impl Deploy {
    /// An event as that build had written it.
    pub(crate) fn edit(&self, mut event: Event) -> Event {
        let meta = event.meta.as_ref();
        let meta = meta.and_then(|meta| meta.decode::<serde_json::Value>().ok());
        if let Some(mut meta) = meta
            && let Some(site) = meta.get("site").and_then(|site| site.as_str())
        {
            meta["site"] = self.site(site).into();
            event.meta = Some(Payload::from_json(meta.to_string()));
        }
        event
    }

    fn site(&self, site: &str) -> String {
        let mut parts = site.rsplitn(3, ':');
        let mut number = || parts.next().unwrap().parse::<i64>().unwrap();
        let (column, line) = (number(), number());
        let file = parts.next().unwrap();
        let (line, column) = match self.kind {
            Kind::Shift(by) => (line + by, column),
            Kind::Reformat => (self.moved(line), 1 + self.roll(line, 40)),
        };
        // One file has another name.
        let is_renamed = self.seed.is_multiple_of(3)
            && !matches!(self.kind, Kind::Shift(0))
            && file.ends_with("interpret.rs");
        let file = if is_renamed { "src/renamed.rs" } else { file };
        format!("{file}:{line}:{column}")
    }

    /// Each line is one to three after the one before.
    fn moved(&self, line: i64) -> i64 {
        (0..line).map(|line| 1 + self.roll(line, 3)).sum()
    }

    fn roll(&self, line: i64, sides: i64) -> i64 {
        let seed = self.seed
            ^ u64::try_from(line)
                .unwrap()
                .wrapping_mul(0x9e37_79b9_7f4a_7c15);
        Rng::with_seed(seed).i64(0..sides)
    }
}
