//! What becomes of orders when processes end, well or not, and when clients hang up.

use std::time::Duration;

use crate::http;
use crate::service::{Service, approve, place};
use crate::shop::Shop;

/// Places this many, every third one to be approved.
fn place_many(service: &Service, count: u32) -> Vec<String> {
    let ids = (0..count).map(|number| {
        let placed = service.place(&number.to_string(), cents(number));
        assert_eq!(placed.code, 202, "{placed:?}");
        format!("order-{number}")
    });
    ids.collect()
}

fn cents(number: u32) -> u64 {
    if number.is_multiple_of(3) {
        50_000
    } else {
        4_990
    }
}

/// Approves what waits for it, and waits until all have finished.
fn finish_all(service: &Service, ids: &[String]) {
    for id in ids {
        let order = service.until(id, |order| order["status"] != "Running");
        if order["status"] == "Paused" {
            let approved = http::exchange(service.address, &approve(id)).unwrap();
            assert_eq!(approved.code, 202, "{approved:?}");
        }
    }
    until_all_finished(service, ids);
}

fn until_all_finished(service: &Service, ids: &[String]) {
    for id in ids {
        let order = service.until_finished(id);
        assert_eq!(order["status"], "Completed", "{order}");
    }
}

#[test]
fn bodies_finish_at_sigterm_and_the_next_process_continues() {
    let shop = Shop::new();
    let service = Service::start(&shop);
    let ids = place_many(&service, 30);
    service.stop();
    let service = Service::start(&shop);
    finish_all(&service, &ids);
    service.stop();
    shop.check_undisturbed(&ids);
}

#[test]
fn a_client_that_never_ends_its_request_does_not_hold_up_the_end() {
    let shop = Shop::new();
    let service = Service::start(&shop);
    let ids = place_many(&service, 3);
    let request = place("late", 4990);
    let stream = http::begin(service.address, &request, request.len() - 5);
    // The connection was accepted before this one.
    assert_eq!(service.get("/orders/order-0").code, 200);
    service.stop();
    drop(stream);
    let service = Service::start(&shop);
    finish_all(&service, &ids);
}

#[test]
fn what_a_killed_process_had_accepted_the_next_one_finishes() {
    let shop = Shop::new();
    let mut ids = Vec::new();
    for round in 0..4 {
        let service = Service::start(&shop);
        for number in 0..6 {
            let key = format!("{round}-{number}");
            assert_eq!(service.place(&key, cents(number)).code, 202);
            ids.push(format!("order-{key}"));
        }
        service.kill();
    }
    let service = Service::start(&shop);
    finish_all(&service, &ids);
    let payments = shop.payments();
    for id in &ids {
        assert_eq!(payments[id].len(), 1, "{id}: {:?}", payments[id]);
    }
    assert!(shop.mails() <= ids.len());
    service.stop();
    shop.run(&["db", "check"]);
}

#[test]
fn two_processes_serve_one_store() {
    let shop = Shop::new();
    let (first, second) = (Service::start(&shop), Service::start(&shop));
    let ids = place_many(&first, 12);
    assert_eq!(second.place("0", cents(0)).json()["id"], "order-0");
    // Approved at the one, while the other is killed: nothing of it is lost.
    for id in &ids {
        let order = second.until(id, |order| order["status"] != "Running");
        if order["status"] == "Paused" {
            assert_eq!(
                http::exchange(second.address, &approve(id)).unwrap().code,
                202
            );
        }
    }
    first.kill();
    for id in &ids {
        assert_eq!(second.until_finished(id)["status"], "Completed");
    }
    let payments = shop.payments();
    assert!(
        payments.values().all(|keys| keys.len() == 1),
        "{payments:?}"
    );
    assert_eq!(payments.len(), ids.len());
    let schedules = shop.json(&["schedule", "list", "--json"]);
    assert_eq!(schedules.as_array().unwrap().len(), 1);
}

#[test]
fn clients_that_hang_up_lose_nothing_and_order_nothing_twice() {
    let shop = Shop::new();
    let service = Service::start(&shop);
    let mut ids = Vec::new();
    for number in 0..60 {
        let key = number.to_string();
        let request = place(&key, cents(number));
        // Some before the request is whole, most while it is dealt with.
        let bytes = request.len() - usize::from(number % 10 == 0);
        let wait = Duration::from_micros(u64::from(number) * 50);
        http::hang_up_after(service.address, &request, bytes, wait);
        ids.push(format!("order-{key}"));
    }
    // Whatever became of the first try, the second finds or makes the order.
    for number in 0..60 {
        assert_eq!(service.place(&number.to_string(), cents(number)).code, 202);
    }
    for id in ids.iter().step_by(3) {
        service.until(id, |order| order["status"] == "Paused");
        let request = approve(id);
        for bytes in [request.len() - 1, request.len()] {
            http::hang_up_after(service.address, &request, bytes, Duration::from_micros(200));
        }
    }
    // The first try may have been taken or lost, or it is still being read: who asks again is either the first whose
    // approval counts, or is told that the order no longer waits for one.
    for id in ids.iter().step_by(3) {
        let again = http::exchange(service.address, &approve(id)).unwrap();
        assert!(matches!(again.code, 202 | 409), "{again:?}");
    }
    until_all_finished(&service, &ids);
    service.stop();
    shop.check_undisturbed(&ids);
}
