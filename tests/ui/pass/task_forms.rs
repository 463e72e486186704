//! Whatever a task takes and returns, a call of it is a future of `Result<T, TaskError>`.
use std::error::Error;

use flux::{State, TaskCall, TaskError, task};
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Receipt {
    total: u32,
}

type Odd<E> = Result<Receipt, E>;
type Plain = Receipt;

#[task]
async fn nothing() {}

#[task]
async fn value(total: u32) -> Receipt {
    Receipt { total }
}

#[task]
async fn alias_of_a_value(total: u32) -> Plain {
    Receipt { total }
}

#[task]
async fn result(total: u32) -> Result<Receipt, String> {
    Ok(Receipt { total })
}

#[task]
async fn alias_of_a_result(total: u32) -> Odd<String> {
    Ok(Receipt { total })
}

#[task]
async fn anyhow(total: u32) -> anyhow::Result<Receipt> {
    anyhow::ensure!(total > 0, "nothing to pay");
    Ok(Receipt { total })
}

#[task]
async fn boxed(total: u32) -> Result<Receipt, Box<dyn Error>> {
    let total = total.to_string().parse()?;
    Ok(Receipt { total })
}

#[task]
async fn static_text(total: u32) -> Result<Receipt, &'static str> {
    Ok(Receipt { total })
}

#[task(blocking)]
fn blocking(total: u32) -> Result<Receipt, Box<dyn Error + Send + Sync>> {
    Ok(Receipt { total })
}

#[task]
async fn patterns(mut total: u32, (a, b): (u32, u32), _: String, _unused: bool) -> Receipt {
    total += a + b;
    Receipt { total }
}

#[task]
async fn recursive(depth: u32) -> Result<Receipt, TaskError> {
    if depth == 0 {
        return Ok(Receipt { total: 0 });
    }
    let Receipt { total } = Box::pin(recursive(depth - 1)).await?;
    Ok(Receipt { total: total + 1 })
}

#[task]
async fn injected(total: u32, factor: State<u32>) -> Receipt {
    Receipt {
        total: total * *factor,
    }
}

#[task]
async fn r#loop(r#type: u32) -> Receipt {
    Receipt { total: r#type }
}

struct Shop;

impl Shop {
    /// Inside an `impl`, without `self`.
    #[task]
    pub async fn charge(total: u32) -> Receipt {
        Receipt { total }
    }
}

mod elsewhere {
    use super::Receipt;

    #[flux::task]
    pub(crate) async fn charge(total: u32) -> Receipt {
        Receipt { total }
    }
}

macro_rules! task_of {
    ($name:ident, $attempts:literal, $ty:ty, $body:block) => {
        #[task(max_attempts = $attempts)]
        async fn $name() -> $ty $body
    };
}

task_of!(generated, 3, Result<Receipt, String>, { Ok(Receipt { total: 3 }) });

fn is_a_future<T>(_: &(impl Future<Output = Result<T, TaskError>> + Send + Unpin + 'static)) {}

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let receipt = Receipt { total: 3 };
    let call: TaskCall<Receipt> = value(3);
    is_a_future::<Receipt>(&call);
    assert_eq!(call.await?, receipt);
    nothing().await?;
    assert_eq!(alias_of_a_value(3).await?, receipt);
    assert_eq!(result(3).await?, receipt);
    assert_eq!(alias_of_a_result(3).await?, receipt);
    assert_eq!(anyhow(3).await?, receipt);
    assert_eq!(boxed(3).await?, receipt);
    assert_eq!(static_text(3).await?, receipt);
    assert_eq!(blocking(3).await?, receipt);
    assert_eq!(patterns(1, (1, 1), String::new(), true).await?, receipt);
    assert_eq!(recursive(3).await?, receipt);
    assert_eq!(injected(1).with_state(3_u32).await?, receipt);
    assert_eq!(r#loop(3).await?, receipt);
    assert_eq!(Shop::charge(3).await?, receipt);
    assert_eq!(elsewhere::charge(3).await?, receipt);
    assert_eq!(generated().await?, receipt);
    Ok(())
}
