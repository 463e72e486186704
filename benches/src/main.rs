//! scratch
use flux::{Engine, ExecutionContext, TaskError, task, workflow};
use std::time::Instant;

#[task]
async fn trivial(n: u64) -> u64 { n + 1 }

#[workflow]
async fn sequential(ctx: ExecutionContext<u64>) -> Result<u64, TaskError> {
    let mut total = 0;
    for i in 0..*ctx.input() { total += trivial(i).await?; }
    Ok(total)
}
#[workflow]
async fn pausing(ctx: ExecutionContext<u64>) -> Result<u64, TaskError> {
    let mut total = 0;
    for i in 0..*ctx.input() { total += trivial(i).await?; }
    flux::pause("x").await;
    Ok(total)
}

fn floor(path: &std::path::Path, n: u32, sync: &str) -> f64 {
    let c = rusqlite::Connection::open(path).unwrap();
    c.execute_batch(&format!("PRAGMA journal_mode=WAL; PRAGMA synchronous={sync}; CREATE TABLE IF NOT EXISTS t(id INTEGER PRIMARY KEY, payload TEXT);")).unwrap();
    let payload = "x".repeat(100);
    let t = Instant::now();
    for _ in 0..n { c.prepare_cached("INSERT INTO t(payload) VALUES (?1)").unwrap().execute([&payload]).unwrap(); }
    f64::from(n) / t.elapsed().as_secs_f64()
}

#[tokio::main]
async fn main() {
    let dir = std::path::PathBuf::from("/work/main/target/benchtmp");
    let _ = std::fs::remove_dir_all(&dir); std::fs::create_dir_all(&dir).unwrap();
    for round in 0..3 {
    let f = floor(&dir.join(format!("floor{round}.db")), 5000, "FULL");
    let engine = Engine::open(dir.join(format!("flux{round}.db"))).await.unwrap();
    sequential.on(&engine).run(1000).await.unwrap();
    let t = Instant::now();
    sequential.on(&engine).run(5000).await.unwrap();
    let x = 5000.0 / t.elapsed().as_secs_f64();
    println!("full floor {f:.0} flux {x:.0} ratio {:.2}", x / f);
    let f = floor(&dir.join(format!("floorr{round}.db")), 20000, "NORMAL");
    let engine = Engine::builder().sqlite(dir.join(format!("fluxr{round}.db"))).durability(flux::Durability::Relaxed).build().await.unwrap();
    let t = Instant::now();
    sequential.on(&engine).run(20000).await.unwrap();
    let x = 20000.0 / t.elapsed().as_secs_f64();
    println!("relaxed floor {f:.0} flux {x:.0} ratio {:.2}", x / f);
    for n in [100u64, 1000] {
    let engine = Engine::open(dir.join(format!("fluxc{round}-{n}.db"))).await.unwrap();
    let t = Instant::now();
    let mut hs = vec![];
    for _ in 0..n { hs.push(tokio::spawn(sequential.on(&engine).run(10))); }
    for h in hs { h.await.unwrap().unwrap(); }
    let x = n as f64 * 10.0 / t.elapsed().as_secs_f64();
    println!("concurrent {n} x 10: {x:.0}/s");
    }
    let engine = Engine::builder().sqlite(dir.join(format!("fluxp{round}.db"))).durability(flux::Durability::Relaxed).build().await.unwrap();
    for n in [1000u64, 50000] {
    let run = pausing.on(&engine).run(n).await.unwrap();
    let t = Instant::now();
    let run = pausing.on(&engine).resume(run.execution_id()).await.unwrap();
    println!("replay {n}: {:.2} us/task {}", t.elapsed().as_secs_f64() * 1e6 / n as f64, run.has_succeeded());
    }
    }
}
