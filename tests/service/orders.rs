//! What clients of the service see.

use serde_json::json;

use crate::service::Service;
use crate::shop::Shop;

#[test]
fn an_order_is_placed_once_however_often_it_is_asked_for() {
    let shop = Shop::new();
    let service = Service::start(&shop);
    for _ in 0..3 {
        let placed = service.place("17", 4990);
        assert_eq!(
            (placed.code, &placed.json()["id"]),
            (202, &json!("order-17"))
        );
    }
    let order = service.until_finished("order-17");
    let receipt = json!({"payment": "order-17/2", "is_mailed": true});
    assert_eq!(order["receipt"], receipt, "{order}");
    assert_eq!(service.place("17", 4990).json(), order);
    let other = service.place("17", 50);
    assert_eq!(other.code, 409);
    assert_eq!(other.body, "the key belongs to another order");
    service.stop();
    shop.check_undisturbed(&["order-17".to_owned()]);
}

#[test]
fn a_big_order_waits_for_its_approval() {
    let shop = Shop::new();
    let service = Service::start(&shop);
    for (key, granted) in [("1", true), ("2", false)] {
        let id = format!("order-{key}");
        assert_eq!(service.place(key, 50_000).code, 202);
        let order = service.until(&id, |order| order["status"] == "Paused");
        assert_eq!(order["waits_for"], json!(["approval"]));
        let approval = json!({"by": "Ada", "granted": granted}).to_string();
        let path = format!("/orders/{id}/approval");
        assert_eq!(service.post(&path, &approval).code, 202);
        service.until_finished(&id);
    }
    let granted = service.get("/orders/order-1").json();
    assert_eq!(granted["status"], "Completed", "{granted}");
    let declined = service.get("/orders/order-2").json();
    assert_eq!(declined["status"], "Failed", "{declined}");
    assert!(
        declined["error"]
            .as_str()
            .unwrap()
            .contains("Ada declined it")
    );
    let charged: Vec<String> = shop.payments().into_keys().collect();
    assert_eq!(charged, ["order-1"]);
}

#[test]
fn a_client_is_told_what_it_did_wrong() {
    let shop = Shop::new();
    let service = Service::start(&shop);
    let order = r#"{"item": "desk", "cents": 4990}"#;
    assert_eq!(service.post("/orders", order).code, 400);
    assert_eq!(service.place(&"long".repeat(100), 4990).code, 400);
    assert_eq!(service.get("/orders/order-1").code, 404);
    let approval = r#"{"by": "Ada", "granted": true}"#;
    assert_eq!(service.post("/orders/order-1/approval", approval).code, 404);
    service.place("1", 50_000);
    assert_eq!(service.post("/orders/order-1/approval", "{").code, 400);
    assert_eq!(
        service
            .post("/orders/order-1/approval", r#"{"by": "Ada"}"#)
            .code,
        422
    );
    service.until("order-1", |order| order["status"] == "Paused");
    let log = shop.log();
    assert!(!log.contains("ERROR"), "{log}");
}

#[test]
fn the_same_program_has_the_commands_of_flux() {
    let shop = Shop::new();
    let service = Service::start(&shop);
    service.place("17", 50_000);
    service.until("order-17", |order| order["status"] == "Paused");
    let shown = shop.run(&["show", "order-17"]);
    assert!(shown.contains("approval"), "{shown}");
    shop.run(&["doctor"]);
    let answer = r#"{"by": "Grace", "granted": true}"#;
    shop.run(&["resume", "order-17", answer, "--at", "approval"]);
    assert_eq!(service.until_finished("order-17")["status"], "Completed");
    // Every night, and now: with the state of the tasks, in a process of its own.
    let schedules = shop.json(&["schedule", "list", "--json"]);
    let schedules = schedules.as_array().unwrap();
    assert_eq!(schedules.len(), 1, "{schedules:?}");
    assert_eq!(schedules[0]["workflow"], "close_day");
    let closed = shop.run(&["run", "close_day", "--output", "json"]);
    assert!(closed.contains('1'), "{closed}");
}
