//! Processes of the service.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::http::{self, Answer};
use crate::shop::Shop;

/// The example, built along with these tests.
fn program() -> PathBuf {
    let here = std::env::current_exe().unwrap();
    let program = here.ancestors().nth(2).unwrap().join("examples/service");
    assert!(
        program.exists(),
        "{} is not there: cargo build --example service --features cli",
        program.display()
    );
    program
}

/// The program, on a shop's store.
pub(crate) fn command(shop: &Shop, args: &[&str]) -> Command {
    let mut command = Command::new(program());
    command
        .args(args)
        .env("SHOP_FOLDER", shop.path())
        .env("FLUX_STORE", shop.store())
        .current_dir(shop.path())
        .stdin(Stdio::null());
    command
}

/// A process that serves; it is killed when it is dropped.
pub(crate) struct Service {
    child: Child,
    pub(crate) address: SocketAddr,
}

impl Service {
    /// Starts one, and waits until it listens.
    pub(crate) fn start(shop: &Shop) -> Self {
        let log = std::fs::File::options()
            .append(true)
            .create(true)
            .open(shop.path().join("log.txt"))
            .unwrap();
        let mut child = command(shop, &["serve"])
            .env("ADDRESS", "127.0.0.1:0")
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()
            .unwrap();
        let mut said = String::new();
        let mut output = BufReader::new(child.stdout.take().unwrap());
        output.read_line(&mut said).unwrap();
        let address = said.trim().strip_prefix("listening on http://");
        let address = address.unwrap_or_else(|| panic!("it said `{said}`\n{}", shop.log()));
        Self {
            child,
            address: address.parse().unwrap(),
        }
    }

    pub(crate) fn get(&self, path: &str) -> Answer {
        http::exchange(self.address, &http::request("GET", path, &[], "")).unwrap()
    }

    pub(crate) fn post(&self, path: &str, body: &str) -> Answer {
        http::exchange(self.address, &http::request("POST", path, &[], body)).unwrap()
    }

    pub(crate) fn place(&self, key: &str, cents: u64) -> Answer {
        http::exchange(self.address, &place(key, cents)).unwrap()
    }

    /// Asks for an order until it is as wanted.
    pub(crate) fn until(&self, id: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        let since = Instant::now();
        loop {
            let order = self.get(&format!("/orders/{id}")).json();
            if wanted(&order) {
                return order;
            }
            assert!(since.elapsed() < Duration::from_secs(60), "{order}");
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    pub(crate) fn until_finished(&self, id: &str) -> Value {
        self.until(id, |order| {
            order["status"] == "Completed" || order["status"] == "Failed"
        })
    }

    /// Asks it to stop.
    pub(crate) fn terminate(&self) {
        let mut kill = Command::new("kill");
        kill.args(["-TERM", &self.child.id().to_string()]);
        assert!(kill.status().unwrap().success());
    }

    /// Stops it gracefully: it has to end well.
    pub(crate) fn stop(mut self) {
        self.terminate();
        let status = self.child.wait().unwrap();
        assert!(status.success(), "{status}");
    }

    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The request for an order.
pub(crate) fn place(key: &str, cents: u64) -> String {
    let body = format!(r#"{{"item": "desk", "cents": {cents}}}"#);
    http::request("POST", "/orders", &[("Idempotency-Key", key)], &body)
}

/// The request that approves an order.
pub(crate) fn approve(id: &str) -> String {
    let path = format!("/orders/{id}/approval");
    http::request("POST", &path, &[], r#"{"by": "Ada", "granted": true}"#)
}
