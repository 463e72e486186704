//! Orders come in all the time, while the service is deployed again and again.

use std::net::SocketAddr;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::http::{Answer, exchange, request};
use crate::service::{Service, approve, place};
use crate::shop::Shop;

const CLIENTS: usize = 8;

/// How long the load lasts, and how long each process serves.
fn plan() -> (Duration, Duration) {
    match std::env::var("FLUX_SOAK") {
        Ok(minutes) => {
            let minutes: f64 = minutes.parse().expect("FLUX_SOAK is a number of minutes");
            (
                Duration::from_secs_f64(minutes * 60.0),
                Duration::from_secs(5),
            )
        }
        Err(_) => (Duration::from_secs(6), Duration::from_secs(1)),
    }
}

/// Where the service is, as a load balancer would know it.
#[derive(Default)]
struct Balancer {
    live: Mutex<Vec<SocketAddr>>,
    is_over: AtomicBool,
}

impl Balancer {
    fn add(&self, service: &Service) {
        self.live.lock().unwrap().push(service.address);
    }

    fn remove(&self, gone: SocketAddr) {
        let mut live = self.live.lock().unwrap();
        live.retain(|address| *address != gone);
    }

    /// Sends a request until it is answered, as every client does whose key makes that harmless.
    fn send(&self, request: &str) -> Answer {
        let since = Instant::now();
        loop {
            let address = fastrand::choice(self.live.lock().unwrap().iter().copied());
            match address.map(|address| exchange(address, request)) {
                Some(Ok(answer)) if answer.code < 500 => return answer,
                other => assert!(
                    since.elapsed() < Duration::from_secs(60),
                    "{other:?}: {request}"
                ),
            }
            thread::sleep(Duration::from_millis(5));
        }
    }

    /// A client that orders, one thing after the other, until the end.
    fn order_until_the_end(&self, client: usize) -> Vec<String> {
        let mut ids = Vec::new();
        while !self.is_over.load(Ordering::Relaxed) {
            let number = ids.len();
            let key = format!("{client}-{number}");
            let is_big = number % 5 == 0;
            let placed = self.send(&place(&key, if is_big { 50_000 } else { 4_990 }));
            assert_eq!(placed.code, 202, "{placed:?}");
            let id = format!("order-{key}");
            if is_big {
                self.approve(&id);
            }
            ids.push(id);
        }
        ids
    }

    /// A person waits until the order asks for it.
    fn approve(&self, id: &str) {
        let look = request("GET", &format!("/orders/{id}"), &[], "");
        loop {
            let order = self.send(&look).json();
            if order["status"] == "Paused" {
                // Refused where an earlier try, whose answer was lost, has done it.
                let approved = self.send(&approve(id));
                assert!(matches!(approved.code, 202 | 409), "{approved:?}");
                return;
            }
            thread::sleep(Duration::from_millis(5));
        }
    }
}

/// Ends the clients, also when the test fails.
struct End<'a>(&'a Balancer);

impl Drop for End<'_> {
    fn drop(&mut self) {
        self.0.is_over.store(true, Ordering::Relaxed);
    }
}

/// Orders come in while one process after the other is replaced, and its predecessor ended. Returns the orders, all of which
/// have finished.
fn order_while_it_is_replaced(shop: &Shop, end: impl Fn(Service, &Balancer)) -> Vec<String> {
    let (whole, interval) = plan();
    let balancer = Balancer::default();
    let mut service = Service::start(shop);
    balancer.add(&service);
    let ids: Vec<String> = thread::scope(|scope| {
        let clients: Vec<_> = (0..CLIENTS)
            .map(|client| (client, &balancer))
            .map(|(client, balancer)| scope.spawn(move || balancer.order_until_the_end(client)))
            .collect();
        let over = End(&balancer);
        let since = Instant::now();
        while since.elapsed() < whole {
            thread::sleep(interval);
            let next = Service::start(shop);
            balancer.add(&next);
            end(std::mem::replace(&mut service, next), &balancer);
        }
        drop(over);
        let orders = clients.into_iter().map(|client| client.join().unwrap());
        orders.flatten().collect()
    });
    for id in &ids {
        let order = service.until_finished(id);
        assert_eq!(order["status"], "Completed", "{order}");
    }
    println!("{} orders in {whole:?}", ids.len());
    service.stop();
    ids
}

#[test]
fn rolling_restarts_lose_no_order_charge_none_twice_and_cut_nothing_off() {
    let shop = Shop::new();
    let ids = order_while_it_is_replaced(&shop, |old, balancer| {
        old.terminate();
        balancer.remove(old.address); // which knows of it a little late
        old.stop();
    });
    shop.check_undisturbed(&ids);
}

#[test]
fn rolling_kills_lose_no_order_and_charge_none_twice() {
    let shop = Shop::new();
    let ids = order_while_it_is_replaced(&shop, |old, balancer| {
        let address = old.address;
        old.kill();
        balancer.remove(address);
    });
    let payments = shop.payments();
    for id in &ids {
        assert_eq!(payments[id].len(), 1, "{id}: {:?}", payments[id]);
    }
    // A mail that may have been sent is not sent again.
    assert!(shop.mails() <= ids.len());
    shop.run(&["db", "check"]);
}
