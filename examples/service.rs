//! A service for orders: HTTP, a worker and the command line of Flux in one program, which may be restarted at any time.
//!
//! ```text
//! cargo run --example service --features cli -- serve        # Ctrl-C or SIGTERM stops it gracefully
//!
//! curl localhost:3000/orders -H 'Idempotency-Key: 17' --json '{"item": "desk", "cents": 24900}'
//! curl localhost:3000/orders/order-17                        # Paused, waits for "approval"
//! curl localhost:3000/orders/order-17/approval --json '{"by": "Ada", "granted": true}'
//!
//! cargo run --example service --features cli -- list         # and show, retry, doctor: every command of `flux`
//! ```
//!
//! A client that got no answer sends its request again: the key names the execution, so there is one order however often it is
//! asked for. What is under way when the process dies is taken over by the next one, or by another that serves the same
//! store.

use std::collections::BTreeSet;
use std::env;
use std::error::Error;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use axum::Json;
use axum::extract;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::{Router, get, post};
use flux::time::{days, secs};
use flux::{
    CallKind, Engine, EngineBuilder, ExecutionContext, State, Status, TaskError, task, workflow,
};
use serde::{Deserialize, Serialize};
use tokio::net::TcpListener;

/// Orders from this sum on are looked at by a person.
const TO_APPROVE: u64 = 10_000;

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Order {
    item: String,
    cents: u64,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Approval {
    by: String,
    granted: bool,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Receipt {
    payment: String,
    is_mailed: bool,
}

#[derive(Debug, thiserror::Error, Serialize, Deserialize)]
enum OrderError {
    #[error("{by} declined it")]
    Declined { by: String },
    #[error("it was not approved in time")]
    NotApproved,
    #[error(transparent)]
    Task(#[from] TaskError),
}

/// What becomes of an order, as code that a crash does not end.
#[workflow(tags("orders"))]
async fn fulfil_order(ctx: ExecutionContext<Order>) -> Result<Receipt, OrderError> {
    let Order { item, cents } = ctx.input().clone();
    if cents >= TO_APPROVE {
        let answer = flux::pause("approval").value::<Approval>();
        let answer = flux::timeout(days(2), answer).await;
        let Approval { by, granted } = answer.map_err(|_elapsed| OrderError::NotApproved)?;
        if !granted {
            return Err(OrderError::Declined { by });
        }
    }
    let payment = charge_card(cents).await?;
    // Rather no mail than two: one that may have been sent is not sent again.
    let is_mailed = send_mail(format!("{item} is on its way")).await.is_ok();
    Ok(Receipt { payment, is_mailed })
}

/// The body may run twice, after a crash for instance. The key is the same each time, and by it the bank charges once.
#[task(
    max_attempts = 5,
    backoff = "exponential(100ms, 2.0, max = 5s)",
    timeout = "10s"
)]
async fn charge_card(cents: u64, shop: State<Shop>) -> io::Result<String> {
    let key = flux::idempotency_key();
    shop.charge(&key, cents).await?;
    Ok(key)
}

#[task(at_most_once, timeout = "10s")]
async fn send_mail(text: String, shop: State<Shop>) -> io::Result<()> {
    shop.mail(&text).await
}

/// Every night one execution, however many processes serve the store.
#[workflow(schedule = "0 3 * * * Europe/Berlin")]
async fn close_day(_ctx: ExecutionContext) -> Result<usize, TaskError> {
    count_payments().await
}

#[task(blocking, max_attempts = 3)]
fn count_payments(shop: State<Shop>) -> io::Result<usize> {
    let booked = fs::read_to_string(&shop.bank)?;
    let payments: BTreeSet<&str> = booked.lines().collect(); // a key that was sent twice counts once
    Ok(payments.len())
}

/// What is outside, and injected: files here, clients of a bank and of a mail server elsewhere.
struct Shop {
    bank: PathBuf,
    mails: PathBuf,
}

impl Shop {
    fn open(folder: &Path) -> io::Result<Self> {
        let file = |name: &str| {
            let path = folder.join(name);
            File::options().append(true).create(true).open(&path)?;
            Ok::<_, io::Error>(path)
        };
        Ok(Self {
            bank: file("bank.txt")?,
            mails: file("mails.txt")?,
        })
    }

    async fn charge(&self, key: &str, cents: u64) -> io::Result<()> {
        append(&self.bank, &format!("{key} {cents}")).await
    }

    async fn mail(&self, text: &str) -> io::Result<()> {
        append(&self.mails, text).await
    }
}

async fn append(path: &Path, line: &str) -> io::Result<()> {
    let mut file = File::options().append(true).open(path)?;
    file.write_all(format!("{line}\n").as_bytes())?;
    tokio::time::sleep(Duration::from_millis(50)).await; // the answer takes its time
    Ok(())
}

/// What a client sees of an order.
#[derive(Serialize)]
struct OrderView {
    id: String,
    status: Status,
    waits_for: Vec<String>,
    receipt: Option<Receipt>,
    error: Option<String>,
}

type Answer = Result<(StatusCode, Json<OrderView>), (StatusCode, String)>;

fn routes(engine: Engine) -> Router {
    Router::new()
        .route("/orders", post(place_order))
        .route("/orders/{id}", get(show_order))
        .route("/orders/{id}/approval", post(approve_order))
        .with_state(engine)
}

async fn place_order(
    extract::State(engine): extract::State<Engine>,
    headers: HeaderMap,
    Json(order): Json<Order>,
) -> Answer {
    let key = headers
        .get("Idempotency-Key")
        .and_then(|key| key.to_str().ok());
    let key = key.ok_or((
        StatusCode::BAD_REQUEST,
        "send an Idempotency-Key".to_owned(),
    ))?;
    let start = fulfil_order
        .on(&engine)
        .start(order)
        .execution_id(format!("order-{key}"));
    let order = start.await.map_err(refused)?; // from here on it is durable
    view(&engine, order.execution_id().as_str(), StatusCode::ACCEPTED).await
}

async fn show_order(
    extract::State(engine): extract::State<Engine>,
    extract::Path(id): extract::Path<String>,
) -> Answer {
    view(&engine, &id, StatusCode::OK).await
}

async fn approve_order(
    extract::State(engine): extract::State<Engine>,
    extract::Path(id): extract::Path<String>,
    Json(approval): Json<Approval>,
) -> Answer {
    let answer = fulfil_order
        .on(&engine)
        .resume(&*id)
        .at("approval")
        .with(&approval);
    answer.request().await.map_err(refused)?; // durable: a worker, here or elsewhere, continues the order
    view(&engine, &id, StatusCode::ACCEPTED).await
}

async fn view(engine: &Engine, id: &str, code: StatusCode) -> Answer {
    let order = fulfil_order.on(engine).get(id).await.map_err(refused)?;
    let calls = order.calls().await.map_err(refused)?;
    let open = calls.iter().filter(|call| !call.status().is_finished());
    let waits_for = open.filter(|call| call.kind() != CallKind::Timer);
    let view = OrderView {
        id: id.to_owned(),
        status: order.status(),
        waits_for: waits_for.map(|call| call.name().to_owned()).collect(),
        receipt: order.output().cloned(),
        error: order.failure().map(ToString::to_string),
    };
    Ok((code, Json(view)))
}

/// What a caller can act on is an error of its own; the rest is the service's trouble, and is logged.
fn refused(error: flux::Error) -> (StatusCode, String) {
    use flux::Error::{
        AlreadyFinished, ExecutionNotFound, InputMismatch, InvalidInput, NotPausedAt,
        WorkflowMismatch,
    };
    let (code, message) = match error {
        ExecutionNotFound { .. } | WorkflowMismatch { .. } => {
            (StatusCode::NOT_FOUND, "there is no such order")
        }
        InputMismatch { .. } => (StatusCode::CONFLICT, "the key belongs to another order"),
        NotPausedAt { .. } | AlreadyFinished { .. } => {
            (StatusCode::CONFLICT, "the order waits for no approval")
        }
        InvalidInput { .. } => (
            StatusCode::BAD_REQUEST,
            "the key or the order cannot be recorded",
        ),
        error => {
            tracing::error!(%error, "a request failed");
            (StatusCode::SERVICE_UNAVAILABLE, "try again")
        }
    };
    (code, message.to_owned())
}

/// What the engine of this program needs, whether it serves or runs a command.
async fn configure(engine: EngineBuilder) -> io::Result<EngineBuilder> {
    let folder = env::var_os("SHOP_FOLDER").unwrap_or_else(|| ".".into());
    Ok(engine.state(Shop::open(Path::new(&folder))?))
}

#[tokio::main]
async fn serve() -> Result<(), Box<dyn Error>> {
    tracing_subscriber::fmt()
        .with_writer(io::stderr)
        .with_ansi(false)
        .init();
    let engine = configure(Engine::builder()).await?.build().await?;
    engine.worker().spawn();

    let address = env::var("ADDRESS").unwrap_or_else(|_| "127.0.0.1:3000".to_owned());
    let listener = TcpListener::bind(address).await?;
    println!("listening on http://{}", listener.local_addr()?);
    let server = axum::serve(listener, routes(engine.clone()))
        .with_graceful_shutdown(flux::shutdown_signal());
    let patience = async {
        flux::shutdown_signal().await;
        tokio::time::sleep(secs(5)).await;
    };
    tokio::select! {
        ended = server => ended?,
        () = patience => {} // a client that takes longer asks the next process
    }
    engine.shutdown(secs(10)).await?; // bodies that run may finish, and nothing new is begun
    Ok(())
}

fn main() -> Result<(), Box<dyn Error>> {
    if env::args().nth(1).as_deref() == Some("serve") {
        return serve();
    }
    flux::cli::main_with(configure)
}
