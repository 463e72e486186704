//! Random operations: whatever is done, a store holds what the reference would hold.

use std::sync::Arc;

use tokio::time::Instant;

use self::names::name;
use crate::store::{MemoryStore, Store};

mod choose;
mod names;
mod op;
mod side;

use side::Side;

/// Set this to a printed seed to see a failure again.
const SEED: &str = "FLUX_SEED";

/// A few thousand random operations, on the store and on the reference; every answer and at last
/// every row must agree.
pub async fn random_operations_leave_what_they_leave_in_memory(store: Arc<dyn Store>) {
    let given = std::env::var(SEED).ok().and_then(|seed| seed.parse().ok());
    let seed = given.unwrap_or_else(|| fastrand::u64(..));
    println!("{SEED}={seed}");
    let mut pair = Pair {
        random: fastrand::Rng::with_seed(seed),
        sides: [Side::new(store), Side::new(Arc::new(MemoryStore::new()))],
        // Later than all that is said to have happened at a fixed moment.
        hours: 1,
        began: Instant::now(),
        created: 0,
    };
    for _ in 0..3_000 {
        pair.step().await;
    }
    pair.compare_everything().await;
}

/// The store under test and the reference.
struct Pair {
    random: fastrand::Rng,
    sides: [Side; 2],
    /// The time. What the operations take is less than an hour all together.
    hours: i64,
    /// What time has passed since counts, too: stores note when something starts, and no clock goes back.
    began: Instant,
    /// How many executions were to be created.
    created: usize,
}

impl Pair {
    async fn step(&mut self) {
        let op = self.choose().await;
        let [tested, reference] = &mut self.sides;
        let mut answers = Vec::new();
        for side in [tested, reference] {
            let answer = side.apply(&op).await;
            // What it did to the execution shows at once, not only when somebody asks.
            let row = match op.touches() {
                Some(id) => side.row(id).await.map(|row| side.plain(row)),
                None => None,
            };
            answers.push((answer, row));
        }
        let [got, wanted] = &answers[..] else {
            unreachable!("two sides answer")
        };
        assert_eq!(
            got, wanted,
            "the store's answer, and the reference's, to {op:?}"
        );
    }

    async fn compare_everything(&self) {
        let [tested, reference] = &self.sides;
        for id in 0..=self.created {
            assert_eq!(
                tested.dump(id).await,
                reference.dump(id).await,
                "what is left of {}",
                name(id)
            );
        }
        let now = self.now();
        assert_eq!(tested.look(now).await, reference.look(now).await);
    }
}
