//! Random programs: trees of durable operations, as data that a workflow takes as its input.

use proptest::prelude::*;
use serde::{Deserialize, Serialize};

/// One part of a program. Its value is a number made of everything that the code saw.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) enum Node {
    Task(Work),
    /// A call that is like every other of its kind, but for its result.
    Twin(u16),
    /// A value that is recorded, and like every other.
    Drawn,
    Step(u16),
    Sleep(u16),
    /// A recorded value chooses the branch.
    Coin(Draw, Box<Node>, Box<Node>),
    Publish,
    Patched,
    Seq(Vec<Node>),
    Repeat(u8, Box<Node>),
    /// `tokio::join!` of two or three.
    Join(Vec<Node>),
    TryJoin(Box<Node>, Box<Node>),
    JoinAll(Vec<Node>),
    /// A race of two or three; the losers are dropped.
    Select(Vec<Node>),
    /// A race of one future, kept, against a new timer in each turn.
    Ticks(u16, Box<Node>),
    Buffered(u8, Vec<Node>),
    BufferUnordered(u8, Vec<Node>),
    Unordered(Vec<Node>),
    /// Many at once, in the order of a hash map, which is another in every replay.
    Shuffled(Vec<Work>),
    Timeout(u16, Box<Node>),
    /// Catches an error.
    Catch(Box<Node>),
    Signal(u16, Sending),
    Pause,
    Child(Box<Node>),
}

/// A task: how long its body takes, in ms, and how it ends.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Work {
    pub(crate) ms: u16,
    pub(crate) ends: Ends,
}

/// How a body ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Ends {
    Well,
    /// The first attempts fail, the third succeeds.
    WellAfterTwo,
    /// The first attempt panics, the second succeeds.
    WellAfterPanic,
    /// Every attempt takes longer than it may.
    Late,
    /// Every attempt fails.
    Badly,
    /// Every attempt fails until the world is repaired.
    BadlyUntilFixed,
}

/// Which recorded value a coin is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Draw {
    Random,
    Uuid,
    Time,
}

/// When a signal is sent, and how it is waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Sending {
    Before,
    Meanwhile,
    /// The wait has a limit, which may come first.
    Limited(u16),
}

impl Node {
    /// Whether its value is the same whatever is slow and whatever is interrupted.
    pub(crate) fn is_predictable(&self) -> bool {
        let own = !matches!(
            self,
            Node::Twin(_)
                | Node::Drawn
                | Node::Coin(..)
                | Node::Select(_)
                | Node::Ticks(..)
                | Node::Timeout(..)
                | Node::Signal(_, Sending::Limited(_))
        );
        own && self.parts().iter().all(|part| part.is_predictable())
    }

    /// How many parts it has, itself included.
    pub(crate) fn size(&self) -> usize {
        self.count(&|_| true)
    }

    /// For how many of its parts `is` holds.
    pub(crate) fn count(&self, is: &dyn Fn(&Node) -> bool) -> usize {
        let below: usize = self.parts().iter().map(|part| part.count(is)).sum();
        usize::from(is(self)) + below
    }

    fn parts(&self) -> Vec<&Node> {
        match self {
            Node::Seq(parts)
            | Node::Join(parts)
            | Node::JoinAll(parts)
            | Node::Select(parts)
            | Node::Buffered(_, parts)
            | Node::BufferUnordered(_, parts)
            | Node::Unordered(parts) => parts.iter().collect(),
            Node::Coin(_, one, other) | Node::TryJoin(one, other) => vec![one, other],
            Node::Repeat(_, part)
            | Node::Ticks(_, part)
            | Node::Timeout(_, part)
            | Node::Catch(part)
            | Node::Child(part) => vec![part],
            _ => Vec::new(),
        }
    }
}

/// What a generator may put into a program.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Grammar {
    /// Races, limits and coins: what is seen depends on more than the program.
    pub(crate) races: bool,
    /// Errors that may end the program, and code that catches them.
    pub(crate) errors: bool,
    /// Tasks that fail until the world is repaired.
    pub(crate) broken: bool,
    /// Pause points and children.
    pub(crate) pauses: bool,
    /// Mostly calls and values that are like every other.
    pub(crate) twins: bool,
    /// The longest that anything takes, in ms.
    pub(crate) longest: u16,
}

impl Grammar {
    pub(crate) const ALL: Self = Self {
        races: true,
        errors: true,
        broken: false,
        pauses: true,
        twins: false,
        longest: 40,
    };

    /// Programs of this grammar.
    pub(crate) fn programs(self) -> impl Strategy<Value = Node> {
        self.leaf()
            .prop_recursive(4, 24, 4, move |inner| self.tree(inner))
    }

    fn leaf(self) -> BoxedStrategy<Node> {
        let ms = 0..self.longest;
        let work = self.work().prop_map(Node::Task);
        let sending = prop_oneof![Just(Sending::Before), Just(Sending::Meanwhile)];
        let signal = (ms.clone(), sending).prop_map(|(ms, sending)| Node::Signal(ms, sending));
        let simple = prop_oneof![
            8 => work,
            2 => ms.clone().prop_map(Node::Step),
            2 => ms.clone().prop_map(Node::Sleep),
            1 => Just(Node::Publish),
            1 => Just(Node::Patched),
            2 => signal,
        ];
        let mut all = vec![(12, simple.boxed())];
        if self.pauses {
            all.push((1, Just(Node::Pause).boxed()));
        }
        if self.races {
            let limited = (ms.clone(), ms.clone())
                .prop_map(|(ms, limit)| Node::Signal(ms, Sending::Limited(limit)));
            all.push((1, limited.boxed()));
            all.push((2, ms.prop_map(Node::Twin).boxed()));
        }
        if self.twins {
            all.push((12, Just(Node::Twin(5)).boxed()));
            all.push((8, Just(Node::Drawn).boxed()));
        }
        proptest::strategy::Union::new_weighted(all).boxed()
    }

    fn work(self) -> impl Strategy<Value = Work> {
        (0..self.longest, self.ends()).prop_map(|(ms, ends)| Work { ms, ends })
    }

    fn ends(self) -> BoxedStrategy<Ends> {
        let mut all = vec![
            (12, Just(Ends::Well)),
            (2, Just(Ends::WellAfterTwo)),
            (1, Just(Ends::WellAfterPanic)),
        ];
        if self.errors {
            all.push((2, Just(Ends::Badly)));
            all.push((1, Just(Ends::Late)));
        }
        if self.broken {
            all.push((4, Just(Ends::BadlyUntilFixed)));
        }
        proptest::strategy::Union::new_weighted(all).boxed()
    }

    fn tree(self, inner: BoxedStrategy<Node>) -> BoxedStrategy<Node> {
        let some = prop::collection::vec(inner.clone(), 1..5);
        let few = prop::collection::vec(inner.clone(), 2..4);
        let one = inner.clone().prop_map(Box::new);
        let two = (one.clone(), one.clone());
        let ms = 0..self.longest;
        let simple = prop_oneof![
            4 => some.clone().prop_map(Node::Seq),
            1 => (1..4_u8, one.clone()).prop_map(|(times, part)| Node::Repeat(times, part)),
            3 => few.clone().prop_map(Node::Join),
            1 => two.clone().prop_map(|(one, other)| Node::TryJoin(one, other)),
            1 => some.clone().prop_map(Node::JoinAll),
            1 => (1..4_u8, some.clone()).prop_map(|(many, parts)| Node::Buffered(many, parts)),
            1 => (1..4_u8, some.clone()).prop_map(|(many, parts)| Node::BufferUnordered(many, parts)),
            1 => some.prop_map(Node::Unordered),
            1 => prop::collection::vec(self.work(), 2..5).prop_map(Node::Shuffled),
        ];
        let mut all = vec![(13, simple.boxed())];
        if self.pauses {
            all.push((1, one.clone().prop_map(Node::Child).boxed()));
        }
        if self.errors {
            all.push((2, one.clone().prop_map(Node::Catch).boxed()));
        }
        if self.races {
            let draw = prop_oneof![Just(Draw::Random), Just(Draw::Uuid), Just(Draw::Time)];
            let coin = (draw, two).prop_map(|(draw, (one, other))| Node::Coin(draw, one, other));
            let ticks = (1..self.longest, one.clone()).prop_map(|(ms, part)| Node::Ticks(ms, part));
            let timeout = (ms, one).prop_map(|(ms, part)| Node::Timeout(ms, part));
            all.push((3, few.prop_map(Node::Select).boxed()));
            all.push((1, coin.boxed()));
            all.push((1, ticks.boxed()));
            all.push((2, timeout.boxed()));
        }
        proptest::strategy::Union::new_weighted(all).boxed()
    }
}
