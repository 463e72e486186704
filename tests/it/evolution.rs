//! Types that change: what still reads goes on, what does not is told with its JSON path.

use std::sync::atomic::{AtomicU32, Ordering};

use flux::{Error, ExecutionContext, TaskError, workflow};
use serde::{Deserialize, Serialize};

use crate::support::{Shelf, begin, code_of, ran, set_code, unique};

/// The types as they were.
mod old {
    use super::*;

    #[derive(Clone, Debug, Serialize, Deserialize)]
    pub(super) struct Order {
        pub(super) id: u32,
    }

    #[derive(Clone, Debug, Serialize, Deserialize)]
    pub(super) struct Receipt {
        pub(super) amount: u32,
    }

    #[flux::task]
    pub(super) async fn bill(order: Order) -> Receipt {
        begin();
        Receipt {
            amount: order.id * 100,
        }
    }
}

/// The types as they are.
mod new {
    use super::*;

    #[derive(Clone, Debug, Serialize, Deserialize)]
    pub(super) struct Order {
        pub(super) id: u32,
        #[serde(default)]
        pub(super) is_gift: bool,
    }

    #[derive(Clone, Debug, Serialize, Deserialize)]
    pub(super) struct Receipt {
        pub(super) amount: u32,
        #[serde(default)]
        pub(super) currency: String,
    }

    #[derive(Clone, Debug, Serialize, Deserialize)]
    pub(super) struct Strict {
        pub(super) amount: String,
    }

    #[flux::task]
    pub(super) async fn bill(order: Order) -> Receipt {
        begin();
        Receipt {
            amount: order.id * 100,
            currency: "EUR".to_owned(),
        }
    }

    /// The same task, of a type that the recorded value is not of.
    #[flux::task(name = "bill")]
    pub(super) async fn bill_strictly(order: Order) -> Strict {
        begin();
        Strict {
            amount: order.id.to_string(),
        }
    }
}

const GROWN: u32 = 1;
const GROWN_AND_CHANGED: u32 = 2;
const STRICT: u32 = 3;

#[workflow]
async fn bill_order(ctx: ExecutionContext<u32>) -> Result<String, TaskError> {
    let id = *ctx.input();
    let text = match code_of(ctx.execution_id()) {
        GROWN => {
            let receipt = new::bill(new::Order { id, is_gift: false }).await?;
            format!("{}{}", receipt.amount, receipt.currency)
        }
        GROWN_AND_CHANGED => new::bill(new::Order { id, is_gift: true }).await?.currency,
        STRICT => {
            new::bill_strictly(new::Order { id, is_gift: false })
                .await?
                .amount
        }
        _ => old::bill(old::Order { id }).await?.amount.to_string(),
    };
    flux::pause("send").await;
    Ok(text)
}

#[tokio::test]
async fn a_field_with_a_default_may_be_added() {
    for shelf in Shelf::every_way().await {
        let id = unique("bill-order");
        let _ = bill_order
            .on(&shelf.engine().await)
            .run(7)
            .execution_id(&id)
            .await
            .unwrap();
        set_code(&id, GROWN);
        let run = bill_order
            .on(&shelf.engine().await)
            .resume(&id)
            .await
            .unwrap();
        assert_eq!(run.output().unwrap(), "700");
        assert_eq!(ran(&id, "bill"), 1);
    }
}

#[tokio::test]
async fn a_new_field_that_is_not_the_default_is_another_call() {
    let shelf = Shelf::memory();
    let id = unique("bill-order");
    let _ = bill_order
        .on(&shelf.engine().await)
        .run(7)
        .execution_id(&id)
        .await
        .unwrap();
    set_code(&id, GROWN_AND_CHANGED);
    let error = bill_order
        .on(&shelf.engine().await)
        .resume(&id)
        .await
        .unwrap_err();
    let Error::NonDeterminism(divergence) = error else {
        panic!("{error}")
    };
    assert!(divergence.found.contains("is_gift"), "{divergence}");
}

#[tokio::test]
async fn a_recorded_value_that_no_longer_reads_names_event_and_path() {
    for shelf in Shelf::every_way().await {
        let id = unique("bill-order");
        let _ = bill_order
            .on(&shelf.engine().await)
            .run(7)
            .execution_id(&id)
            .await
            .unwrap();
        set_code(&id, STRICT);
        let engine = shelf.engine().await;
        let before = engine.history(&id).await.unwrap();
        let error = bill_order.on(&engine).resume(&id).await.unwrap_err();
        let Error::ReplayDecode {
            event, what, path, ..
        } = &error
        else {
            panic!("{error}")
        };
        assert_eq!((event.get(), &**path), (3, "amount"));
        assert!(what.contains("bill"), "{error}");
        assert_eq!(engine.history(&id).await.unwrap(), before);
        assert!(engine.get(&id).await.unwrap().is_paused());
        set_code(&id, 0);
        let run = bill_order.on(&engine).resume(&id).await.unwrap();
        assert_eq!(run.output().unwrap(), "700");
        assert_eq!(ran(&id, "bill"), 1);
    }
}

#[tokio::test]
async fn an_output_that_no_longer_reads_is_an_error_of_the_reader() {
    let engine = Shelf::memory().engine().await;
    let run = bill_order.on(&engine).run(1).await.unwrap();
    let run = bill_order
        .on(&engine)
        .resume(run.execution_id())
        .await
        .unwrap();
    // By name the output is JSON, whatever the type.
    let read = engine.get(run.execution_id()).await.unwrap();
    assert_eq!(read.output().unwrap(), "100");
}

/// How often the output of `print_torn` was read.
static READS: AtomicU32 = AtomicU32::new(0);

/// It can be read once: when it is recorded.
#[derive(Debug, Serialize)]
struct Torn(u32);

impl<'de> Deserialize<'de> for Torn {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let number = u32::deserialize(from)?;
        match READS.fetch_add(1, Ordering::Relaxed) {
            0 => Ok(Self(number)),
            _ => Err(serde::de::Error::custom("it is torn")),
        }
    }
}

#[workflow]
async fn print_torn(_ctx: ExecutionContext<()>) -> Result<Torn, TaskError> {
    flux::sleep(std::time::Duration::from_millis(1)).await;
    Ok(Torn(7))
}

#[tokio::test]
async fn an_output_that_cannot_be_read_is_told_with_the_event_that_recorded_it() {
    let shelf = Shelf::memory();
    let engine = shelf.engine().await;
    let id = unique("torn");
    let live = print_torn.on(&engine).run(()).execution_id(&id);
    let stored = print_torn.on(&engine);
    for read in [
        live.await.unwrap_err(),
        stored.resume(&id).await.unwrap_err(),
    ] {
        let Error::ReplayDecode { event, .. } = &read else {
            panic!("{read}")
        };
        let history = engine.history(&id).await.unwrap();
        assert_eq!(
            Some(*event),
            history.last().map(|event| event.seq),
            "{read}"
        );
    }
}
