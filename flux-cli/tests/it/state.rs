//! A program whose tasks need `State`: `shop` opens a till for them, which `SHOP_TILL=closed` refuses.

use crate::support::{Call, Folder, Ran};

fn closed(call: Call) -> Ran {
    call.env("SHOP_TILL", "closed").run()
}

/// What a body needs, a connection for example, may not be there where somebody only wants to look.
#[test]
fn commands_that_look_work_without_the_state_of_the_tasks() {
    let folder = Folder::seeded();
    for words in [
        "list",
        "show uncharged",
        "show shipped --tree --io --events",
        "status place_order",
        "result shipped",
        "events shipped",
        "workflow list",
        "workflow show place_order",
        "worker list",
        "schedule list",
        "schedule preview nightly",
        "schedule trigger nightly",
        "queue list",
        "queue resume letters",
        "signal unpaid paid 20000",
        "pause sleeping",
        "terminate sleeping --reason late",
        "db info",
        "db check",
    ] {
        closed(folder.call(&format!("shop {words}"))).exits(0);
    }
    let found = closed(folder.call("shop doctor --json"));
    assert!(found.json().is_array(), "{}", found.transcript());
}

#[test]
fn commands_that_run_code_say_why_the_state_is_not_there() {
    let folder = Folder::seeded();
    let before = folder.run("flux list").stdout;
    for words in [
        "run send_parcel --input 1",
        "resume inreview",
        "worker",
        "replay shipped",
    ] {
        let ran = closed(folder.call(&format!("shop {words}"))).exits(1);
        assert!(
            ran.stderr.contains("the till is closed"),
            "{}",
            ran.transcript()
        );
    }
    assert_eq!(
        folder.run("flux list").stdout,
        before,
        "nothing was started"
    );
}

#[test]
fn with_the_state_the_code_runs() {
    let folder = Folder::empty();
    let order = r#"'{"item": "tea", "cents": 450}'"#;
    let ran = folder.run(&format!(
        "shop run place_order --input {order} --id tea --json"
    ));
    assert_eq!(
        ran.exits(0).json()["output"],
        "shipped, with receipt for 450 cents"
    );
    folder.run("shop replay tea").exits(0);
}
